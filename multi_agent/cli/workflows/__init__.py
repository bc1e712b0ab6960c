"""Commands that make, start, follow and show workflows."""
