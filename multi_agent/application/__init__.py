"""What a user can do, once, typed, for every face."""
