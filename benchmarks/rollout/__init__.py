"""Rollouts by simulation: how often a gate is wrong, how soon it is right, and who pays for it."""
