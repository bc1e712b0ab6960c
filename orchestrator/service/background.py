"""Work that continues while the next batch is handled, one piece after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class BackgroundWork:
    """Runs pieces of work in `group`, which ends with the first that fails."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: asyncio.Task[None] | None = None

    async def start_after_previous(self, work: Work) -> None:
        """Start this once all work before it is done; return when it first waits for something."""
        await self.wait_idle()
        self._running = self._group.create_task(work())
        await asyncio.sleep(0)

    async def wait_idle(self) -> None:
        """Wait until all work is done. Raises what the work raised."""
        if self._running is not None:
            await self._running
