"""Recorded model exchanges: recording, reading and replaying them."""
