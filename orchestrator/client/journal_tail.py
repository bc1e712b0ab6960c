"""One tail of the journal for any number of followers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

POLL_SECONDS = 0.1

NewestSequences = Callable[[Collection[str]], Awaitable[Mapping[str, int]]]
"""Reads the newest journal sequence of each of these workflows that has one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    """A follower that waits for something newer than what it has seen."""

    workflow_id: str
    seen: int | None
    found: asyncio.Future[int | None]

    def look_at(self, newest: int | None) -> None:
        if newest != self.seen and not self.found.done():
            self.found.set_result(newest)


class JournalTail:
    """Polls once for all followers that wait, and wakes those whose workflow has a new entry.

    Polls only while somebody waits: nothing reads the database once the last one has left. A failed poll
    fails for all of them; each decides itself whether to wait again.
    """

    def __init__(self, read: NewestSequences, poll_seconds: float = POLL_SECONDS) -> None:
        self._read = read
        self._poll_seconds = poll_seconds
        self._waiters: set[_Waiter] = set()
        self._polling: asyncio.Task[None] | None = None
        self._next_poll_at = 0.0
        """On the event loop's clock."""

    async def newer(self, workflow_id: str, seen: int | None) -> int | None:
        """Wait until the newest sequence of the workflow is another than `seen`, and return it.

        None stands for a workflow without entries. Raises what the read raises.
        """
        waiter = _Waiter(workflow_id, seen, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        try:
            return await waiter.found
        finally:
            self._waiters.discard(waiter)
            if not self._waiters and self._polling is not None:
                self._polling.cancel()
                self._polling = None

    async def _poll(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            # A follower that returns at once must not make the polls more frequent.
            await asyncio.sleep(self._next_poll_at - clock())
            waiters = tuple(self._waiters)
            try:
                newest = await self._read({waiter.workflow_id for waiter in waiters})
            except Exception as error:
                # Whatever it is, followers must hear of it instead of waiting for ever.
                for waiter in waiters:
                    if not waiter.found.done():
                        waiter.found.set_exception(error)
            else:
                for waiter in waiters:
                    waiter.look_at(newest.get(waiter.workflow_id))
            self._next_poll_at = clock() + self._poll_seconds
