"""A deterministic simulation: the owner's real code between a model bus, database and workers."""
