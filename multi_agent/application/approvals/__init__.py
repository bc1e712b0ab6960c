"""Approvals: pages that people read, policies, and how often a person is asked."""
