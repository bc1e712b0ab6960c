"""A folder of the user's own as an environment."""
