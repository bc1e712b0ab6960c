"""Processes: what runs for long, who keeps it running, and who may."""
