"""What workflows may spend."""
