"""When measuring begins."""

from __future__ import annotations

import gc
import time


def start() -> float:
    """Now, by the monotonic clock, in seconds, once this process has collected its garbage.

    It has loaded so much that a full collection takes 60 ms. Whatever is measured, ours or a peer or the
    limit, one of those would fall into some rounds and not into others.
    """
    gc.collect()
    gc.freeze()
    return time.monotonic()
