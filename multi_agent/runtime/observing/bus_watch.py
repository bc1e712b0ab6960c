"""Whether Redis answers, for whoever starts something or looks on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from contracts.base.errors import BusUnavailable, MultiAgentError, NotConfigured
from contracts.bus.connect import connect_message_bus
from contracts.runtime.outage import Outage
from multi_agent.runtime.beside import beside
from multi_agent.settings import Settings

QUICK_SECONDS: Final = 1.0
"""How long a server may take to answer before somebody is told."""
_LOOK_SECONDS: Final = 0.5

Look = Callable[[], Awaitable[str | None]]
"""Says what is waited for; None when nothing is."""


async def check_bus(settings: Settings, say: Callable[[str], None]) -> None:
    """Return when the server that the user named answers; at once where none is named.

    Raises BusUnavailable without one, and NotConfigured for one that evicts messages.
    """
    if settings.redis_url is None:
        return
    url, before = settings.redis_url.get_secret_value(), time.monotonic()
    try:
        await (await connect_message_bus(url, timeout=QUICK_SECONDS)).close()
    except BusUnavailable as error:
        if time.monotonic() - before < QUICK_SECONDS:
            raise _named(error) from None
        say(f"waits for {error}")
        try:
            await (await connect_message_bus(url)).close()
        except BusUnavailable as last:
            raise _named(last) from None


def _named(error: BusUnavailable) -> BusUnavailable:
    return BusUnavailable(f"{error}; REDIS_URL names it")


async def bus_trouble(settings: Settings) -> str | None:
    """Ask the server once. Returns what is waited for, in words."""
    if settings.redis_url is None:
        return None
    url = settings.redis_url.get_secret_value()
    try:
        await (await connect_message_bus(url, timeout=QUICK_SECONDS)).close()
    except BusUnavailable as error:
        return f"waits for {error}"
    except NotConfigured:
        return None  # it answers
    return None


def watched(
    look: Look, began: Callable[[str], None], ended: Callable[[str], None]
) -> AbstractAsyncContextManager[None]:
    """While the `with` body runs, tell what is waited for once when it begins, and when it ends."""
    return beside(_watch(look, Outage(began, lambda seconds: ended(f"goes on after {seconds:.0f} s"))))


async def _watch(look: Look, outage: Outage) -> None:
    while True:
        # Outages of the database are told by whoever follows it.
        with suppress(MultiAgentError, OSError):
            trouble = await look()
            if trouble is None:
                outage.back()
            else:
                outage.away(trouble)
        await asyncio.sleep(_LOOK_SECONDS)
