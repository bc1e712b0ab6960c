"""Processes forked from one that has imported everything, and tied to their parents."""
