"""What a sandbox host says about itself: that it lives, what it holds, and that it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from sandbox_runner.service.workspaces.host import Rooms

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
        rooms: Callable[[], Rooms | None],
    ) -> None:
        """`rooms` says how many workspaces would be opened now, None where none ever is."""
        self._bus = bus
        self._sandbox = sandbox
        self._settings = settings
        self._messages = messages
        self._consumer = consumer
        self._rooms = rooms
        self._changed = self._closed = False
        self._announcing: asyncio.Task[None] | None = None

    def heartbeat(self, sequence: int) -> list[Outgoing]:
        """The periodic heartbeat, for callers and for orchestrators."""
        heartbeat = self._settings.worker_heartbeat(sequence)
        return [self._state(), self._messages.worker_heartbeat(heartbeat)]

    def announce_soon(self) -> None:
        """Tell callers the state, in the background; the next heartbeat makes a lost one good.

        Changes while the bus is at work are told together, once it is done.
        """
        self._changed = True
        if not self._closed and (self._announcing is None or self._announcing.done()):
            self._announcing = asyncio.create_task(self._announce(), name="host-announcement")

    async def leave(self) -> None:
        """Tell callers what is given back, and orchestrators that the host ends. Raises BusUnavailable."""
        await self.close()
        await self._bus.broadcast([self._state()])
        await self._bus.broadcast([self._messages.left(self._settings.host_id)])

    async def close(self) -> None:
        """Announce nothing more in the background. Again is a no-op."""
        self._closed = True
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.wait([self._announcing])

    async def _announce(self) -> None:
        while self._changed:
            self._changed = False
            with suppress(BusUnavailable):
                await self._bus.broadcast([self._state()])

    def _state(self) -> Outgoing:
        consumer, rooms = self._consumer, self._rooms()
        held = (*(message.key for message in consumer.slots), *consumer.outbox.keys)
        host = SandboxHost(
            host_id=self._settings.host_id,
            machine=self._settings.machine,
            backend=self._sandbox.backend,
            isolation=self._sandbox.isolation.value,
            slots=0 if consumer.stopping else self._settings.slots,
            running=len(consumer.slots),
            held=held[:_MOST_HELD],
            handed_back=consumer.handed_back,
            workspaces=rooms and rooms.all,
            lasting_workspaces=rooms.lasting if rooms and rooms.lasting < rooms.all else None,
        )
        return self._messages.host_heartbeat(host)
