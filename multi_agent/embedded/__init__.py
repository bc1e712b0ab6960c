"""Private services that this program starts for itself and that end with it."""
