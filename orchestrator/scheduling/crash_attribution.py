"""Which dispatches the death of a worker is held against (I7). No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from contracts.messages.events import Heartbeat


@dataclass(frozen=True, slots=True)
class Death:
    """What a dead worker executed, what it had only read, and what it logged last, if anybody knows.

    alone: whether one dispatch alone can be to blame.
    """

    worker_id: str
    executed: tuple[str, ...]
    waiting: tuple[str, ...]
    logs: str | None
    alone: bool


def one_to_blame(heartbeat: Heartbeat | None, read: Collection[str] | None) -> bool:
    """Whether one dispatch alone can have killed its worker: heartbeat and bus both say that it was all.

    What a heartbeat lists may have ended since, and something else begun. What the bus lists may be what an
    owner that died had not yet taken away, or what the worker never heard of.
    """
    started = {one.dispatch_id for one in heartbeat.executions if one.started} if heartbeat else set()
    return len(started) == 1 and read is not None and started == set(read)


def executed(
    heartbeat: Heartbeat | None, read: Collection[str] | None, is_suspect: Callable[[str], bool]
) -> set[str]:
    """The dispatches a worker executed when it died, as far as they can have killed it.

    read: what it had read and not acknowledged, None when the bus does not say. A suspect runs alone, and
    only after a heartbeat said so: listed as started it was the only one, else it had not begun. Whatever
    else a worker reads it starts at once.
    """
    started = {one.dispatch_id for one in heartbeat.executions if one.started} if heartbeat else set()
    alone = {name for name in started if is_suspect(name) and (read is None or name in read)}
    return alone or {name for name in started.union(read or ()) if not is_suspect(name)}
