"""Counts the requests and tokens of several processes together."""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from typing import Final

from contracts.ports.rates import MINUTE, Rates, Reservation, Used

_COUNT: Final = struct.Struct("=Q")
_ENTRY: Final = struct.Struct("=dQ")
"""When it was reserved, and its tokens."""
_MOST_ENTRIES: Final = 2_000
"""Requests a minute where only tokens have a limit."""
_TAKEN: Final = Reservation(0.002)
"""How soon to ask again when another process counts at this moment."""
_TRIES: Final = 100


class SharedWindow:
    """A RateWindow of this process and of all that are forked from it later.

    Its lock is the kernel's, so one that is killed gives it back; a request that it had reserved stays
    counted, because it may have been sent. Nobody waits for the lock: its holder may be stopped.
    """

    def __init__(self, rates: Rates, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: the same in all processes."""
        self._most = rates.requests or _MOST_ENTRIES
        self._rates = Rates(self._most, rates.tokens)
        self._clock = clock
        self._threads = threading.Lock()
        """Between threads of one process the kernel's lock does not tell apart."""
        self.fd = os.memfd_create("request-window")
        """The file whose lock is taken for every count."""
        size = _COUNT.size + self._most * _ENTRY.size
        os.ftruncate(self.fd, size)
        self._memory = mmap.mmap(self.fd, size)

    async def reserve(self, tokens: int) -> Reservation:
        """See RateWindow."""
        return self._locked(lambda: self._reserve(self._rates.bounded(tokens)))

    async def settle(self, held: Reservation, tokens: int) -> None:
        """See RateWindow. What others keep from being counted stays as it was reserved."""
        for _ in range(_TRIES):
            if self._locked(lambda: self._settle(held, tokens)) is not _TAKEN:
                return
            await asyncio.sleep(_TAKEN.wait)

    async def close(self) -> None:
        """Do nothing: others may count."""

    def _locked(self, count: Callable[[], Reservation]) -> Reservation:
        if not self._threads.acquire(blocking=False):
            return _TAKEN
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                return count()
            finally:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)
        except BlockingIOError:
            return _TAKEN
        finally:
            self._threads.release()

    def _reserve(self, tokens: int) -> Reservation:
        now = self._clock()
        number: int = _COUNT.unpack_from(self._memory)[0]
        if wait := self._rates.wait(self._used(number, now), tokens, now):
            return Reservation(wait)
        # Should the process be killed between the two, one request more than were sent is counted.
        _ENTRY.pack_into(self._memory, self._at(number), now, tokens)
        _COUNT.pack_into(self._memory, 0, number + 1)
        return Reservation(0.0, number, tokens)

    def _settle(self, held: Reservation, tokens: int) -> Reservation:
        number: int = _COUNT.unpack_from(self._memory)[0]
        if held.place + self._most >= number:
            at, _ = _ENTRY.unpack_from(self._memory, self._at(held.place))
            _ENTRY.pack_into(self._memory, self._at(held.place), at, tokens)
        return held

    def _used(self, number: int, now: float) -> list[Used]:
        """What still counts, the oldest first."""
        found: list[Used] = []
        for one in range(number - 1, max(0, number - self._most) - 1, -1):
            at, tokens = _ENTRY.unpack_from(self._memory, self._at(one))
            if at + MINUTE <= now:
                break
            found.append(Used(at + MINUTE, 1, tokens))
        return found[::-1]

    def _at(self, number: int) -> int:
        return _COUNT.size + number % self._most * _ENTRY.size
