"""The map of a repository: what its files define and use, ranked for a request."""
