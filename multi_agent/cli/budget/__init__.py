"""Commands about what workflows may spend."""
