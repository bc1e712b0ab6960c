"""From the store to a user's own repository: what changed, its working tree, a branch of it."""
