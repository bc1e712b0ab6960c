"""Commands that explain, verify and examine."""
