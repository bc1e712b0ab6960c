"""Open workflows in which nothing is under way: a new term loads them a few at a time.

Only a command can arrive for such a workflow, and a command loads its workflow itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from orchestrator.core.state import Workflow
from orchestrator.scheduling.engine import Engine

_AT_ONCE = 250


class WorkflowSource(Protocol):
    """What the backlog needs of the store."""

    async def load_open(self, names: Sequence[str]) -> list[Workflow]:
        """Those of these workflows that have not ended. Raises StoreUnavailable."""


class Backlog:
    """The workflows that are still to be loaded, oldest first."""

    def __init__(self, store: WorkflowSource, engine: Engine, names: Iterable[str]) -> None:
        self._store = store
        self._engine = engine
        self._names = deque(names)

    @property
    def empty(self) -> bool:
        """Whether everything was loaded."""
        return not self._names

    async def read_next(self, monotonic: float) -> None:
        """Load the next ones into the engine. Raises StoreUnavailable."""
        count = min(len(self._names), _AT_ONCE)
        names = [self._names.popleft() for _ in range(count)]
        missing = [name for name in names if name not in self._engine.workflows]
        for workflow in await self._store.load_open(missing):
            self._engine.adopt(workflow, monotonic)
