"""From what a workflow made to what its user has: differences, working trees, branches, pull requests."""
