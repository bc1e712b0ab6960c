"""The message bus: adapters for Redis and for one process."""
