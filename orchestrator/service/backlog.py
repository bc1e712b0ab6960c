"""Open workflows in which nothing is under way: an owner that starts reads them a few at a time.

Nothing can arrive for such a workflow but a command, which brings it in by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from orchestrator.scheduling.engine import Engine
from orchestrator.storage.store import Store

_AT_ONCE = 250


class Backlog:
    """What an owner has still to read, oldest first."""

    def __init__(self, store: Store, engine: Engine, names: Iterable[str]) -> None:
        self._store = store
        self._engine = engine
        self._names = deque(names)

    @property
    def empty(self) -> bool:
        """Whether everything was read."""
        return not self._names

    async def read_next(self, monotonic: float) -> None:
        """Bring the next ones in. Raises StoreUnavailable."""
        count = min(len(self._names), _AT_ONCE)
        names = [self._names.popleft() for _ in range(count)]
        missing = [name for name in names if name not in self._engine.workflows]
        for workflow in await self._store.load_open(missing):
            self._engine.adopt(workflow, monotonic)
