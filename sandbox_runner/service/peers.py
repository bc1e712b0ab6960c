"""The other sandbox hosts, and the entries that the dead among them left on the stream."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from contracts.messages.sandbox import SandboxHost
from contracts.ports.bus import Delivery, MessageBus
from contracts.runtime.consumer import Consumer
from sandbox_runner.service.settings import HostSettings


class PeerHosts:
    """Hosts listen to each other. One that was silent for two leases is dead, and its name is removed.

    Callers ask again for what a dead host held, so its entries are of use only until then. Taking them over
    is harmless, also when two hosts do.
    """

    def __init__(self, bus: MessageBus, settings: HostSettings) -> None:
        self._bus = bus
        self._settings = settings
        self._heard: dict[str, float] = {}
        self._since: float | None = None

    def handle_heartbeat(self, host: SandboxHost, now: float) -> None:
        """A host lives."""
        self._heard[host.host_id] = now

    async def take_over(self, consumer: Consumer[Any, Any]) -> None:
        """Hand abandoned entries to the consumer, as far as it has free slots, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 2)
            with suppress(BusUnavailable):
                if self._settings.metrics:
                    self._settings.metrics.waiting(await self._bus.depth(Channels.SANDBOX_REQUESTS))
                found = await self._abandoned(clock())
                consumer.receive(found[: consumer.slots.free])

    async def _abandoned(self, now: float) -> list[Delivery]:
        """Entries in the hands of the dead, and in this host's own: their delivery may have been lost."""
        if self._since is None:
            self._since = now
        silence = 2 * self._settings.lease_seconds
        living = {name for name, heard in self._heard.items() if now - heard <= silence}
        dead = set(self._heard) - living - {self._settings.host_id}
        holders = await self._bus.consumers(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP)
        if now - self._since > silence:
            dead |= set(holders) - living
        found = []
        for name in dead | {self._settings.host_id}:
            found += await self._bus.pending(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP, name)
        for name in dead - set(holders):
            await self.remove(name)
            self._heard.pop(name, None)
        return found

    async def remove(self, host_id: str) -> None:
        """Remove a host's name from the stream. Raises BusUnavailable."""
        await self._bus.forget_consumer(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP, host_id)
