"""Explaining what a task waits for, and verifying the invariants, while everything runs."""
