"""The database: rows, and what is read and written in one transaction."""
