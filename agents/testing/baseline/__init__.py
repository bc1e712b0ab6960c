"""Runs a repository's own tests on its unchanged base, in a workspace."""
