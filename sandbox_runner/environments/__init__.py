"""Environments: the dependencies of a repository, read-only in its workspaces and without a network."""
