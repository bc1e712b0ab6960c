"""What may go on while the owner takes up the next batch: one piece of work, behind the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class BackgroundWork:
    """Runs in `group`, which ends with the first piece that fails."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: asyncio.Task[None] | None = None

    async def start_after_previous(self, work: Work) -> None:
        """Start this when all before it is done; return when it has begun to wait for something."""
        await self.wait_idle()
        self._running = self._group.create_task(work())
        await asyncio.sleep(0)

    async def wait_idle(self) -> None:
        """Return when all is done. Raises what the work did."""
        if self._running is not None:
            await self._running
