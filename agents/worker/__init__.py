"""The worker: a process that executes dispatches and reports their outcomes."""
