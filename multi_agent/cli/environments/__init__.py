"""`multi-agent environment`."""
