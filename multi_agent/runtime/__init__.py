"""Long-running processes: running them, supervising them, and locking a data folder."""
