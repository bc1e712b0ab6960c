"""What faces and programs may ask of the database: append commands, read, follow."""
