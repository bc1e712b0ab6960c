"""Counts the requests of several processes together."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from typing import Final

from multi_agent.models.layers.rate_limit import MINUTE

_COUNT: Final = struct.Struct("=Q")
_TIME: Final = struct.Struct("=d")
_TAKEN_SECONDS: Final = 0.002
"""How soon to ask again when another process counts at this moment."""


class SharedWindow:
    """A RequestWindow of this process and of all that are forked from it later.

    Its lock is the kernel's, so one that is killed gives it back; a request that it had reserved stays
    counted, because it may have been sent. Nobody waits for the lock: its holder may be stopped.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self.fd = os.memfd_create("request-window")
        """The file whose lock is taken for every count."""
        size = _COUNT.size + per_minute * _TIME.size
        os.ftruncate(self.fd, size)
        self._memory = mmap.mmap(self.fd, size)

    def reserve(self, now: float) -> float:
        """See RequestWindow."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return _TAKEN_SECONDS
        try:
            return self._reserve(now)
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN)

    def _reserve(self, now: float) -> float:
        count: int = _COUNT.unpack_from(self._memory)[0]
        at = _COUNT.size + count % self._most * _TIME.size
        oldest: float = _TIME.unpack_from(self._memory, at)[0]
        if count >= self._most and (wait := oldest + MINUTE - now) > 0:
            return wait
        # Should the process be killed between the two, one request more than were sent is counted.
        _TIME.pack_into(self._memory, at, now)
        _COUNT.pack_into(self._memory, 0, count + 1)
        return 0.0
