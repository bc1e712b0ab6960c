"""Layers around an adapter, outermost first: cache, fallback, rate limit, retry, redaction, bounds."""
