"""Points in time as RFC 3339 writes them."""

from __future__ import annotations

import time
from functools import lru_cache


@lru_cache(maxsize=8)
def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    whole = int(seconds)
    return f"{rfc3339_whole(whole)[:-1]}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=8)
def rfc3339_whole(seconds: int) -> str:
    """The same of whole seconds, without a fraction."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
