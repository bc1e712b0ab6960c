"""Conversations as services write them: pure conversions between the model port and their formats."""
