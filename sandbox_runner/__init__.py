"""Model-written programs run here: one port, several walls."""
