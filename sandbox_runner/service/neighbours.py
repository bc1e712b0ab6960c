"""The other sandbox hosts, and what the dead among them left on the stream."""

from __future__ import annotations

from contracts.messages.channels import Channels
from contracts.messages.sandbox import SandboxHost
from contracts.ports.bus import Delivery, MessageBus
from sandbox_runner.service.settings import HostSettings


class Neighbours:
    """A host listens to the others. One that was silent for two leases is dead, and its name is removed.

    Callers ask again for what a dead host held, so its entries are of use only until then; to take them over
    is harmless, as is to do it twice.
    """

    def __init__(self, bus: MessageBus, settings: HostSettings) -> None:
        self._bus = bus
        self._settings = settings
        self._heard: dict[str, float] = {}
        self._since: float | None = None

    def hear(self, host: SandboxHost, now: float) -> None:
        """Take in that a host lives."""
        self._heard[host.host_id] = now

    async def left_over(self, now: float) -> list[Delivery]:
        """Entries in the hands of the dead, and those in one's own, whose delivery was lost on its way.

        Raises BusUnavailable.
        """
        if self._since is None:
            self._since = now
        patience = 2 * self._settings.lease_seconds
        living = {name for name, heard in self._heard.items() if now - heard <= patience}
        dead = set(self._heard) - living - {self._settings.host_id}
        holders = await self._bus.consumers(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP)
        if now - self._since > patience:
            dead |= set(holders) - living
        found = []
        for name in dead | {self._settings.host_id}:
            found += await self._bus.pending(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP, name)
        for name in dead - set(holders):
            await self.forget(name)
            self._heard.pop(name, None)
        return found

    async def forget(self, host_id: str) -> None:
        """Take a host's name off the stream. Raises BusUnavailable."""
        await self._bus.forget_consumer(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP, host_id)
