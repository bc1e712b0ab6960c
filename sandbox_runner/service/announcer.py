"""What a sandbox host says about itself: that it lives, what it holds, and that it leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from contracts.base.errors import BusUnavailable
from contracts.messages.sandbox import SandboxHost, SandboxOutcome
from contracts.ports.bus import Outgoing, PublishPort
from contracts.ports.sandbox import Sandbox
from contracts.runtime.consumer import Consumer
from sandbox_runner.service.executor import Program
from sandbox_runner.service.messages import Messages
from sandbox_runner.service.settings import HostSettings

_MOST_HELD: Final = 10_000


class HostAnnouncer:
    """Tells callers and orchestrators the state of a host's consumer."""

    def __init__(
        self,
        bus: PublishPort,
        sandbox: Sandbox,
        settings: HostSettings,
        messages: Messages,
        consumer: Consumer[Program, SandboxOutcome],
    ) -> None:
        self._bus = bus
        self._sandbox = sandbox
        self._settings = settings
        self._messages = messages
        self._consumer = consumer
        self._broadcasts: set[asyncio.Task[None]] = set()

    def heartbeat(self, sequence: int) -> list[Outgoing]:
        """The periodic heartbeat, for callers and for orchestrators."""
        heartbeat = self._settings.worker_heartbeat(sequence)
        return [self._state(), self._messages.worker_heartbeat(heartbeat)]

    def announce_soon(self) -> None:
        """Tell callers the state now, in the background; the next heartbeat makes a lost one good."""
        task = asyncio.create_task(self._announce())
        self._broadcasts.add(task)
        task.add_done_callback(self._broadcasts.discard)

    async def leave(self) -> None:
        """Tell callers what is given back, and orchestrators that the host ends. Raises BusUnavailable."""
        await self._bus.broadcast([self._state()])
        await self._bus.broadcast([self._messages.left(self._settings.host_id)])

    async def _announce(self) -> None:
        with suppress(BusUnavailable):
            await self._bus.broadcast([self._state()])

    def _state(self) -> Outgoing:
        consumer = self._consumer
        held = (*(message.key for message in consumer.slots), *consumer.outbox.keys)
        host = SandboxHost(
            host_id=self._settings.host_id,
            machine=self._settings.machine,
            backend=self._sandbox.backend,
            isolation=self._sandbox.isolation.value,
            slots=0 if consumer.stopping else self._settings.slots,
            running=len(consumer.slots),
            held=held[:_MOST_HELD],
            given_back=consumer.handed_back,
        )
        return self._messages.host_heartbeat(host)
