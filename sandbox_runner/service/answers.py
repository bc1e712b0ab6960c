"""Results that their callers have not confirmed, and requests that are over. No clock, no bus."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from contracts.ports.bus import Outgoing

_FIRST_SECONDS: Final = 1.0
_MOST_SECONDS: Final = 8.0
_KEPT_SECONDS: Final = 60.0
_MOST_BYTES: Final = 64_000_000
_MOST_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Answer:
    message: Outgoing
    until: float
    due: float
    wait: float = _FIRST_SECONDS


class Answers:
    """Each result is sent until it is received, ever more rarely, for a minute at most; times are monotonic.

    What is kept has a limit in bytes: the oldest result goes first, and its caller asks again.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Answer] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._bytes = 0

    @property
    def open(self) -> tuple[str, ...]:
        """The requests whose result was not received yet."""
        return tuple(self._open)

    def add(self, request_id: str, message: Outgoing, now: float) -> None:
        """Keep a result that is being sent for the first time."""
        self._drop(request_id)
        self._open[request_id] = _Answer(message, now + _KEPT_SECONDS, now + _FIRST_SECONDS)
        self._bytes += len(message.payload)
        while self._bytes > _MOST_BYTES and len(self._open) > 1:
            self._drop(next(iter(self._open)))

    def due(self, now: float) -> list[Outgoing]:
        """What is to be sent again now."""
        for request_id in [name for name, answer in self._open.items() if now >= answer.until]:
            self._drop(request_id)
        late = [answer for answer in self._open.values() if now >= answer.due]
        for answer in late:
            answer.wait = min(answer.wait * 2, _MOST_SECONDS)
            answer.due = now + answer.wait
        return [answer.message for answer in late]

    def ask_again(self, request_id: str) -> bool:
        """A request came once more: True when its result is here, which is then due at once."""
        if request_id in self._open:
            self._open[request_id].due = 0.0
        return request_id in self._open

    def is_over(self, request_id: str) -> bool:
        """Whether the caller has its result, or wants none."""
        return request_id in self._over

    def close(self, request_id: str) -> None:
        """The caller has its result, or wants none."""
        self._drop(request_id)
        self._over[request_id] = None
        if len(self._over) > _MOST_REMEMBERED:
            self._over.popitem(last=False)

    def _drop(self, request_id: str) -> None:
        answer = self._open.pop(request_id, None)
        if answer is not None:
            self._bytes -= len(answer.message.payload)
