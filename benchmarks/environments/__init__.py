"""Environments of public repositories: whether and how fast they are built, which tests pass."""
