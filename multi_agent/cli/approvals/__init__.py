"""`multi-agent approvals`."""
