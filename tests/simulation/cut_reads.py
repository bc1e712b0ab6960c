"""Reads whose answer nobody hears: served at once, or later by a server that has not noticed the cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.ports.bus import Delivery
from tests.simulation.choices import Choices

LIKELY = 0.05
"""How often a read is cut."""

Serve = Callable[[Sequence[str], str, str, int], list[Delivery]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A blocking read that was cut, and until when the server serves it."""

    streams: Sequence[str]
    group: str
    consumer: str
    count: int
    until: float


class CutReads:
    def __init__(self, choices: Choices, now: Callable[[], float], serve: Serve) -> None:
        self._choices = choices
        self._now = now
        self._serve = serve
        self._waiting: list[_Waiting] = []
        self.unheard: set[tuple[str, str]] = set()
        """Entries, by stream and id, that were given to a consumer that did not hear of it."""

    def cut(self, streams: Sequence[str], group: str, consumer: str, count: int, block_ms: int) -> bool:
        """Whether a read is cut now."""
        kind = self._choices.fault(LIKELY, 2) if LIKELY else 0
        if kind == 1:
            self._serve_nobody(_Waiting(streams, group, consumer, count, self._now()))
        elif kind == 2:
            self._waiting.append(_Waiting(streams, group, consumer, count, self._now() + block_ms / 1000))
        return kind > 0

    def arrived(self, stream: str) -> None:
        """Something was published: a read that waits for it takes it."""
        for one in [one for one in self._waiting if stream in one.streams]:
            self._waiting.remove(one)
            if self._now() < one.until:
                self._serve_nobody(one)

    def forget(self) -> None:
        """The server is another one."""
        self._waiting.clear()

    def _serve_nobody(self, one: _Waiting) -> None:
        found = self._serve(one.streams, one.group, one.consumer, one.count)
        self.unheard |= {(delivery.stream, delivery.entry_id) for delivery in found}
