"""What a user can do, once, typed, for every face. Receives opened services; prints nothing."""
