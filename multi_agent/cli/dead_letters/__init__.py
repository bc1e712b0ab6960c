"""The commands of `dead-letters`."""
