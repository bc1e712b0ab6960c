"""Sandboxes over the bus: the host that runs programs for others, and the Sandbox port of its callers."""
