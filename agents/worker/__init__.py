"""The worker: a process that takes dispatches and reports outcomes."""
