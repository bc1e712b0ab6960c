"""Recorded model exchanges: making them, reading them, answering from them."""
