"""Points in time in the format of RFC 3339."""

from __future__ import annotations

import time
from datetime import datetime
from functools import lru_cache
from typing import Annotated

from pydantic import StringConstraints

Timestamp = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z$", max_length=40
    ),
]


def seconds_of(timestamp: str) -> float:
    """Seconds since 1970 of a Timestamp. Raises ValueError for a day or an hour that does not exist."""
    return datetime.fromisoformat(timestamp).timestamp()


def local_time(seconds: float) -> str:
    """Format seconds since 1970 for people: the local day and time, with its distance from UTC."""
    return datetime.fromtimestamp(int(seconds)).astimezone().isoformat(" ")


@lru_cache(maxsize=8)
def rfc3339(seconds: float) -> str:
    """Format seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    whole = int(seconds)
    return f"{rfc3339_whole(whole)[:-1]}.{int((seconds - whole) * 1000):03d}Z"


@lru_cache(maxsize=8)
def rfc3339_whole(seconds: int) -> str:
    """Format whole seconds since 1970 as RFC 3339 in UTC, without a fraction."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
