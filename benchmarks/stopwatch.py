"""Starts a measurement."""

from __future__ import annotations

import gc
import time


def start() -> float:
    """Collect the garbage of this process, then return the monotonic time in seconds.

    The process has loaded so much that a full collection takes 60 ms. Without this, a collection would fall
    into some rounds and not into others, for every system that is measured.
    """
    gc.collect()
    gc.freeze()
    return time.monotonic()
