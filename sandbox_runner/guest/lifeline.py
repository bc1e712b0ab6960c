"""Not outliving the host: it must be heard from, and no phase may last longer than it is given.

A timer looks once a second, because the supervisor may hang in a write that nobody reads: after kill -9 of a
container engine its shim keeps both ends of every pipe open, so there is no end of file and no broken pipe.
"""

from __future__ import annotations

import os
import select
import signal
import time

from sandbox_runner.guest import wire

_TICK = 1.0


class Lifeline:
    """Ends this process, and with it everything in its pid namespace, when the host is gone."""

    def __init__(self, seconds: float) -> None:
        """Begin a first phase of so many seconds, in which standard input is read by somebody else."""
        self._until = time.monotonic() + seconds
        self._heard = 0.0
        # The program may send this signal too; then there is merely one more look.
        signal.signal(signal.SIGALRM, lambda *_: self.check())
        signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)

    def rest(self) -> None:
        """Stop looking."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def give(self, seconds: float) -> None:
        """Begin a further phase. From the first one on this object reads what the host sends."""
        self._until = time.monotonic() + seconds
        self._heard = self._heard or time.monotonic()

    def check(self) -> None:
        """Hear what the host has to say; does not return when it is gone, silent, or time is up."""
        now = time.monotonic()
        if self._heard:
            poller = select.poll()
            poller.register(0, select.POLLIN)
            while poller.poll(0):
                if not os.read(0, wire.CHUNK):
                    os._exit(0)
                self._heard = now
            if now - self._heard > wire.SILENCE_SECONDS:
                os._exit(0)
        if now > self._until:
            os._exit(0)


def wait_for_host() -> None:
    """Return when the host sends something; does not return when it is silent for too long."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    if not poller.poll(wire.SILENCE_SECONDS * 1000):
        os._exit(0)
