"""Rollouts in the database: their state, their decisions, and what programs recorded of their requests."""
