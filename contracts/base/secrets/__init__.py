"""Removes secrets from text: known ones, and what looks like one."""
