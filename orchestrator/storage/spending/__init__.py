"""What workflows may spend together."""
