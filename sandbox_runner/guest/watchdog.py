"""Ends the guest when the host is gone or silent, or when a phase takes too long.

A timer checks once a second, because the supervisor may block in a write that nobody reads: after kill -9 of
a container engine its shim keeps both ends of every pipe open, so there is no end of file and no broken pipe.
"""

from __future__ import annotations

import os
import select
import signal
import time

from sandbox_runner.guest import wire

_TICK = 1.0


class Watchdog:
    """Ends this process, and with it every process in its pid namespace, when the host is gone."""

    def __init__(self, seconds: float) -> None:
        """Begin the first phase, of so many seconds. In it other code reads standard input."""
        self._until = time.monotonic() + seconds
        self._last_byte_at = 0.0
        # The program may send this signal as well; that only causes one more check.
        signal.signal(signal.SIGALRM, lambda *_: self.check())
        signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)

    def stop(self) -> None:
        """Stop checking."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def begin_phase(self, seconds: float) -> None:
        """Begin a further phase. From now on this object reads standard input."""
        self._until = time.monotonic() + seconds
        self._last_byte_at = self._last_byte_at or time.monotonic()

    def check(self) -> None:
        """Read what the host sent. Exits when the host is gone or silent, or the phase is over."""
        now = time.monotonic()
        if self._last_byte_at:
            poller = select.poll()
            poller.register(0, select.POLLIN)
            while poller.poll(0):
                if not os.read(0, wire.CHUNK):
                    os._exit(0)
                self._last_byte_at = now
            if now - self._last_byte_at > wire.SILENCE_SECONDS:
                os._exit(0)
        if now > self._until:
            os._exit(0)


def wait_for_host() -> None:
    """Return when the host has sent something. Exits when the host is silent for too long."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    if not poller.poll(wire.SILENCE_SECONDS * 1000):
        os._exit(0)
