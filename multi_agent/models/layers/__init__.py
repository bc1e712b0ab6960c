"""Layers around an adapter, from the outermost to the innermost: cache, rate limit, retry, bounds."""
