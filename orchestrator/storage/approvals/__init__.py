"""Approvals that are rows of their own."""
