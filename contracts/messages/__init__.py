"""What processes say to each other, and on which streams."""
