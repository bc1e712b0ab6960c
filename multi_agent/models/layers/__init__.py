"""Layers around an adapter, the outermost first: cache, rate limit, retry, redaction, bounds."""
