"""Time as a port."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time in seconds since 1970, and a monotonic clock."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
