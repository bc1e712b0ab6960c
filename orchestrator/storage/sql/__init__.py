"""The database drivers: SQLite, PostgreSQL, and one interface to both."""
