"""Fetches what is needed with a network, and builds it without one."""
