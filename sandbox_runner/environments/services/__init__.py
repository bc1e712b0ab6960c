"""Servers beside the programs of a repository: this machine's own, one for each workspace."""
