"""Which workers people see: a row for each worker alone, and one for each keeper with all its workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from contracts.messages.payloads import Heartbeat
from orchestrator.scheduling.leases import Leases
from orchestrator.storage.queries import WorkerView


class WorkerStore(Protocol):
    """Where the rows are stored. Times are seconds since 1970. Raises StoreUnavailable."""

    async def add_worker(self, worker: WorkerView) -> None: ...

    async def mark_workers_left_except(self, living: Iterable[str], at: float, why: str) -> None: ...

    async def mark_workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None: ...


def row_name(heartbeat: Heartbeat) -> str:
    """The id of the row that a worker is part of."""
    return heartbeat.keeper_id or heartbeat.worker_id


@dataclass(slots=True)
class WorkerRegister:
    """Writes the rows that changed, once a tick: a worker that replaces another within it changes none."""

    store: WorkerStore
    leases: Leases
    _stored: dict[str, WorkerView] = field(default_factory=dict)
    _changed: dict[str, str] = field(default_factory=dict)
    """Row -> why it has left, if no worker of it is heard any more."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._stored)

    def joined(self, heartbeat: Heartbeat) -> None:
        """A worker was heard for the first time, or again."""
        self._changed[row_name(heartbeat)] = ""

    def gone(self, worker_id: str, heartbeat: Heartbeat | None, why: str) -> None:
        """A worker was removed; `heartbeat` was its last."""
        self._changed[row_name(heartbeat) if heartbeat else worker_id] = why

    async def write(self, now: float) -> None:
        """Store what changed. Raises StoreUnavailable."""
        changed, self._changed = self._changed, {}
        for name, why in changed.items():
            row = self._row(name, now)
            if row is None:
                self._stored.pop(name, None)
                await self.store.mark_workers_left([name], now, why)
            elif row != self._stored.get(name):
                self._stored[name] = row
                await self.store.add_worker(row)

    async def write_all_left(self, now: float, why: str) -> None:
        """Mark every row as left of which no worker is heard. Raises StoreUnavailable."""
        living = {row_name(view.heartbeat) for view in self.leases.workers.values()}
        await self.store.mark_workers_left_except(sorted(living), now, why)

    def _row(self, name: str, now: float) -> WorkerView | None:
        heard = [one.heartbeat for one in self.leases.workers.values() if row_name(one.heartbeat) == name]
        if not heard:
            return None
        row = WorkerView(
            name,
            heard[0].host,
            heard[0].pid,
            tuple(dict.fromkeys(role for one in heard for role in one.roles)),
            tuple(dict.fromkeys(stream for one in heard for stream in one.streams)),
            sum(one.slots for one in heard),
            now,
        )
        known = self._stored.get(name)
        return replace(row, pid=known.pid, joined_at=known.joined_at) if known else row
