"""What programs may ask of the database: append commands, and read."""
