"""Sandboxes over the bus: the host that runs programs for others, and the port in front of it."""
