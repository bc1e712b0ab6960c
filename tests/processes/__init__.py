"""Processes that a supervisor has forked: how they start, show themselves, end and are heard of."""
