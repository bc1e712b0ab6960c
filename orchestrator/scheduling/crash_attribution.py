"""Which dispatches may have caused the death of a worker (I7). No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from contracts.messages.payloads import Heartbeat


@dataclass(frozen=True, slots=True)
class Death:
    """The death of a worker."""

    worker_id: str
    executed: tuple[str, ...]
    """The dispatches that it executed."""
    waiting: tuple[str, ...]
    """The dispatches that it had read and not started."""
    logs: str | None
    """What it logged last, None when not known."""
    alone: bool
    """Whether it executed one dispatch alone."""


def executed_alone(heartbeat: Heartbeat | None, read: Collection[str] | None) -> bool:
    """Whether a worker executed one dispatch alone: its last heartbeat and the bus both list only that one.

    Neither is enough alone. An execution of the heartbeat may have ended since, and another begun. An entry
    of the bus may be one that a dead orchestrator did not acknowledge, or that never reached the worker.
    """
    started = {one.dispatch_id for one in heartbeat.executions if one.started} if heartbeat else set()
    return len(started) == 1 and read is not None and started == set(read)


def executed(
    heartbeat: Heartbeat | None, read: Collection[str] | None, is_suspect: Callable[[str], bool]
) -> set[str]:
    """The dispatches that a worker executed when it died.

    `read` holds those that it had read and not acknowledged, None when the bus is unavailable. A worker
    starts what it reads at once, except for a suspect: that runs alone, and only after a heartbeat listed it
    as started. So a suspect that is listed as started was the only execution, and any other had not begun.
    """
    started = {one.dispatch_id for one in heartbeat.executions if one.started} if heartbeat else set()
    alone = {name for name in started if is_suspect(name) and (read is None or name in read)}
    return alone or {name for name in started.union(read or ()) if not is_suspect(name)}
