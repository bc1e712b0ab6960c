"""Which dispatches may have caused the death of a worker or of a keeper with its workers (I7). No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hands:
    """What one worker held when it died, from its last heartbeat and from the bus.

    Neither is enough alone. An execution of the heartbeat may have ended since, and another begun. An entry
    of the bus may be one that a dead orchestrator did not acknowledge, or that never reached the worker.
    """

    started: frozenset[str]
    """The dispatches that its last heartbeat listed as started."""
    read: frozenset[str] | None
    """Those that it had read and not acknowledged, None when the bus is unavailable."""
    others_waited: bool = False
    """Whether its last heartbeat listed one as not started, which may have begun since."""

    @property
    def only(self) -> str | None:
        """The dispatch that was all it executed by heartbeat and bus alike, None when that is not certain."""
        certain = len(self.started) == 1 and self.started == self.read and not self.others_waited
        return next(iter(self.started)) if certain else None

    def executed(self, is_suspect: Callable[[str], bool]) -> set[str]:
        """The dispatches that it executed.

        A worker starts what it reads at once, except for a suspect: that runs alone, and only after a
        heartbeat listed it as started. So a suspect that is listed as started was the only execution, and any
        other had not begun.
        """
        read = self.read
        alone = {name for name in self.started if is_suspect(name) and (read is None or name in read)}
        return alone or {name for name in self.started.union(read or ()) if not is_suspect(name)}


@dataclass(frozen=True, slots=True)
class Departure:
    """A worker, or a keeper with its workers, that is gone, and what becomes of what it held."""

    worker_id: str
    waiting: tuple[str, ...]
    """The dispatches to publish again as they are."""
    executed: tuple[str, ...] = ()
    """The dispatches that are lost, because a death ended them."""
    counted: frozenset[str] = frozenset()
    """Those of `executed` that the death is held against."""
    logs: str | None = None
    """What a dead worker logged last, None when not known."""
    silent: bool = False
    """Whether it is only silent, and may come back."""


def death(
    worker_id: str,
    held: Iterable[str],
    hands: Sequence[Hands],
    is_suspect: Callable[[str], bool],
    logs: str | None,
) -> Departure:
    """The death of all these workers at once.

    It is held against the dispatch that was all they executed. Where a keeper had several, it is held against
    the only suspect among them: a keeper runs one suspect at a time, and each other is a suspect from now on.
    """
    executed = set().union(*(one.executed(is_suspect) for one in hands))
    certain = {one.only for one in hands if one.only}
    together = Hands(
        frozenset().union(*(one.started for one in hands)),
        None
        if any(one.read is None for one in hands)
        else frozenset().union(*(one.read or () for one in hands)),
        any(one.others_waited for one in hands),
    )
    suspects = {name for name in executed if is_suspect(name)}
    counted = {together.only} if together.only else suspects & certain if len(suspects) == 1 else set()
    waiting = tuple(name for name in dict.fromkeys(held) if name not in executed)
    return Departure(worker_id, waiting, tuple(sorted(executed)), frozenset(counted) & executed, logs)
