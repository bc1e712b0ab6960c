"""Walks every command with every setting empty, of the wrong type, unreachable and unwritable."""
