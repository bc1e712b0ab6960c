"""Tells commands and web addresses of a user what `multi_agent.application.notices` finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final

from contracts.base.errors import StoreUnavailable
from multi_agent.application.notices import Notice, Notices
from multi_agent.bootstrap import make_client, make_database
from multi_agent.runtime.observing.hooks import HOOK_SECONDS, Hook, tell
from multi_agent.settings import Settings

LOOK_SECONDS: Final = 0.5


@asynccontextmanager
async def told(settings: Settings, hooks: Sequence[Hook], say: Callable[[str], None]) -> AsyncIterator[None]:
    """While the `with` body runs, tell each hook what is new; at the end, what is new then."""
    if not hooks:
        yield
        return
    database = make_database(settings)
    try:
        notices, ending = Notices(make_client(settings, database)), asyncio.Event()
        await notices.begin()
        telling = asyncio.create_task(_tell_all(notices, hooks, say, ending))
        try:
            yield
        finally:
            ending.set()
            await asyncio.wait([telling], timeout=2 * HOOK_SECONDS)
            telling.cancel()
            [ended] = await asyncio.gather(telling, return_exceptions=True)
            if isinstance(ended, Exception):
                say(f"--on-event: nothing more was told: {type(ended).__name__}: {ended}")
    finally:
        await database.close()


async def _tell_all(
    notices: Notices, hooks: Sequence[Hook], say: Callable[[str], None], ending: asyncio.Event
) -> None:
    last = False
    while not last:
        last = ending.is_set()
        try:
            new = await notices.new()
        except StoreUnavailable:
            new = []
        for notice in new:
            await asyncio.gather(*(_tell(hook, notice, say) for hook in hooks))
        if not last:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await ending.wait()
            except TimeoutError:
                continue


async def _tell(hook: Hook, notice: Notice, say: Callable[[str], None]) -> None:
    problem = await tell(hook, asdict(notice))
    if problem is not None:
        say(f"--on-event {hook.shown}: {notice.event} of {notice.workflow_id} was not told: {problem}")
