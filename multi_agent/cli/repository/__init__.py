"""Commands that look at a repository."""
