"""The commands of `db`."""
