"""Environments of repositories."""
