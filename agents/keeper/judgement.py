"""Which slot processes must be ended, and on whose account. No clock, no I/O; times are monotonic seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agents.worker.board import Held

_MOST_RECALLS: Final = 10_000


class EndReason(StrEnum):
    """Why a process is ended."""

    DEADLINE = "deadline"
    """An execution went on after its deadline."""
    RECALLED = "recalled"
    """An execution went on though nobody waits for it."""
    MEMORY = "memory"
    """The process is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the keeper tolerates; times in seconds."""

    deadline_grace: float = 2.0
    """An execution ends at its deadline by itself, unless it blocks or swallows the cancellation."""
    recall_grace: float = 1.0
    memory_bytes: int = 2 << 30
    """Resident memory of one process."""
    blind: float = 1.0
    """After looking away for so long (it was stopped itself) every grace begins anew."""
    lifeless: float = 1.0
    """An event loop that has not turned for so long is blocked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the keeper sees of one process."""

    held: tuple[Held, ...]
    life: float
    """When its event loop last turned."""
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of a process."""

    reason: EndReason
    culprits: tuple[Held, ...]
    """The executions that ended it."""
    certain: bool
    """Whether it was these. Of several executions that share a process, any may have blocked it."""


class Judge:
    """Looks at all processes several times a second, and remembers since when something is wrong."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recalled: dict[str, None] = {}
        self._since: dict[tuple[EndReason, str], float] = {}
        self._looked_at: float | None = None

    def recall(self, dispatch_id: str) -> None:
        """Nobody waits for this dispatch any more."""
        self._recalled[dispatch_id] = None
        if len(self._recalled) > _MOST_RECALLS:
            del self._recalled[next(iter(self._recalled))]

    def look(self, now: float, processes: Mapping[str, Seen]) -> dict[str, End]:
        """The processes to end now, by the names under which they were seen."""
        since = self._since
        if self._looked_at is None or now - self._looked_at > self._limits.blind:
            since = {}
        self._looked_at, self._since = now, {}
        ends = {}
        for name, seen in processes.items():
            ripe = self._ripe(now, seen, since)
            if seen.memory_bytes > self._limits.memory_bytes:
                ends[name] = self._memory(seen)
            elif ripe:
                reason = min(ripe)
                ends[name] = End(reason, tuple(ripe[reason]), self._certain(now, seen))
        return ends

    def deaf(self, now: float, processes: Mapping[str, Seen]) -> list[str]:
        """The processes that hold something and hear nothing, because their event loops are blocked."""
        return [name for name, seen in processes.items() if seen.held and not self._turns(now, seen)]

    def _ripe(
        self, now: float, seen: Seen, since: Mapping[tuple[EndReason, str], float]
    ) -> dict[EndReason, list[Held]]:
        """The executions that have been wrong for longer than the grace."""
        ripe: dict[EndReason, list[Held]] = {}
        for held, reason, grace in self._wrong(now, seen):
            key = reason, held.execution_id
            self._since[key] = began = since.get(key, now)
            if now - began >= grace:
                ripe.setdefault(reason, []).append(held)
        return ripe

    def _wrong(self, now: float, seen: Seen) -> Iterator[tuple[Held, EndReason, float]]:
        for held in seen.held:
            if held.started is None:
                continue
            if held.recalled or held.dispatch_id in self._recalled:
                yield held, EndReason.RECALLED, self._limits.recall_grace
            elif now >= held.deadline:
                yield held, EndReason.DEADLINE, self._limits.deadline_grace

    def _memory(self, seen: Seen) -> End:
        started = tuple(held for held in seen.held if held.started is not None)
        return End(EndReason.MEMORY, started, certain=len(started) <= 1)

    def _certain(self, now: float, seen: Seen) -> bool:
        """A loop that turns ends what can be ended; so what goes on in it does so on its own account."""
        started = sum(1 for held in seen.held if held.started is not None)
        return started <= 1 or self._turns(now, seen)

    def _turns(self, now: float, seen: Seen) -> bool:
        return now - seen.life <= self._limits.lifeless
