"""The shipped agents."""
