"""Time as a port."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Two sources of time, in seconds."""

    wall: Callable[[], float] = time.time
    """Since 1970."""
    monotonic: Callable[[], float] = time.monotonic
    """Since an arbitrary point; never set back."""
