"""What is kept of requests to the gateway: one record each, on disk, and what can be read from many."""
