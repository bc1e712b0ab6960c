"""What stands around every adapter, from outside to inside: cache, rate limit, retry, bounds."""
