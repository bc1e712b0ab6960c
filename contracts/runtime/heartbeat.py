"""How others know that a server lives and what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from contracts.base.errors import BusUnavailable
from contracts.ports.bus import Outgoing, PublishPort
from contracts.runtime.backoff import Backoff
from contracts.runtime.outage import logged_outage

_log = structlog.get_logger(__name__)


class Heartbeats:
    """Heartbeats are broadcast and stored nowhere."""

    def __init__(
        self, bus: PublishPort, seconds: float | None, messages: Callable[[int], Sequence[Outgoing]]
    ) -> None:
        """Every `seconds`, None without `run`; `messages` gives the heartbeat of a sequence number."""
        self._bus = bus
        self._seconds = seconds
        self._messages = messages
        self._sequence = 0

    async def send(self) -> None:
        """Send one heartbeat now. Raises BusUnavailable."""
        messages = self._messages(self._sequence)
        self._sequence += 1
        await self._bus.broadcast(messages)

    async def send_until_heard(self) -> None:
        """Send one heartbeat, and wait for the bus as long as it is away."""
        backoff, outage = Backoff(), logged_outage()
        while True:
            try:
                await self.send()
            except BusUnavailable as error:
                outage.away(error)
                await backoff.wait()
            else:
                return outage.back()

    async def run(self) -> None:
        """Send heartbeats until cancelled, the first after `seconds`; one that cannot be sent is left out."""
        assert self._seconds is not None
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.send()
            except BusUnavailable as error:
                _log.debug("heartbeat_lost", error=str(error))
