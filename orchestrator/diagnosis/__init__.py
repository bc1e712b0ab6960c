"""Explains what tasks wait for and verifies the invariants, while everything runs."""
