"""Whether Redis answers, for whoever starts something or looks on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from contracts.base.errors import BusUnavailable, MultiAgentError, NotConfigured
from contracts.bus.connect import connect_message_bus
from contracts.ports.bus import MessageBus
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


class BusTrouble:
    """Asks the server again and again, over one connection while it answers."""

    def __init__(self) -> None:
        self._url = ""
        self._bus: MessageBus | None = None

    async def of(self, settings: Settings) -> str | None:
        """Ask the server of these settings once. Returns what is waited for, in words."""
        if settings.redis_url is None:
            return None
        try:
            await self._ask(settings.redis_url.get_secret_value())
        except BusUnavailable as error:
            await self.close()
            return f"waits for {error}"
        except NotConfigured:
            return None  # it answers
        return None

    async def _ask(self, url: str) -> None:
        if url != self._url:
            await self.close()
        if self._bus is None:
            self._bus, self._url = await connect_message_bus(url, timeout=QUICK_SECONDS), url
        else:
            await self._bus.incarnation()

    async def close(self) -> None:
        """Close the connection; the next question opens another."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()


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
