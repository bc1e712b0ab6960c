"""How others know that a worker lives, and how its owner speaks to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import structlog

from agents.worker.backoff import Backoff
from agents.worker.envelopes import Envelopes
from agents.worker.settings import WorkerSettings
from contracts.base.errors import BusUnavailable, DecodeError
from contracts.messages.channels import Channels
from contracts.messages.events import Control, EventType, Execution, Heartbeat, decode
from contracts.ports.bus import MessageBus

_log = structlog.get_logger(__name__)


class Presence:
    """Heartbeats, which are broadcast and stored nowhere."""

    def __init__(
        self,
        bus: MessageBus,
        envelopes: Envelopes,
        settings: WorkerSettings,
        served: tuple[tuple[str, ...], tuple[str, ...]],
        executions: Callable[[], tuple[Execution, ...]],
    ) -> None:
        """`served` are the roles and the request streams."""
        self._bus = bus
        self._envelopes = envelopes
        self._settings = settings
        self._roles, self._streams = served
        self._executions = executions
        self._sequence = 0

    async def announce(self) -> None:
        """Say once what this worker serves and holds. Raises BusUnavailable."""
        heartbeat = Heartbeat(
            worker_id=self._settings.worker_id,
            host=self._settings.host,
            pid=os.getpid(),
            roles=self._roles,
            streams=self._streams,
            slots=self._settings.slots,
            sequence=self._sequence,
            executions=self._executions(),
        )
        self._sequence += 1
        await self._bus.broadcast([self._envelopes.heartbeat(heartbeat)])

    async def announce_until_sent(self) -> None:
        backoff = Backoff()
        while True:
            try:
                return await self.announce()
            except BusUnavailable as error:
                _log.warning("worker.bus_unavailable", error=str(error))
                await backoff.wait()

    async def beat(self) -> None:
        """Announce for ever; one that cannot be sent is left out."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            try:
                await self.announce()
            except BusUnavailable as error:
                _log.debug("worker.heartbeat_lost", error=str(error))


class ControlListener:
    """Hears the owner's acknowledgements and recalls; what is lost is made good by sending outcomes again."""

    def __init__(self, bus: MessageBus, worker_id: str, obey: Callable[[Control], None]) -> None:
        self._bus = bus
        self._channel = Channels.control(worker_id)
        self._obey = obey
        self._subscription = bus.subscribe([self._channel])

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                async for _, payload in self._subscription:
                    backoff.reset()
                    self._hear(payload)
            except BusUnavailable as error:
                _log.debug("worker.control_lost", error=str(error))
            await self._subscription.close()
            await backoff.wait()
            self._subscription = self._bus.subscribe([self._channel])

    async def close(self) -> None:
        await self._subscription.close()

    def _hear(self, payload: bytes) -> None:
        try:
            event = decode(payload)
        except DecodeError as error:
            _log.warning("worker.control_unreadable", reason=error.reason)
            return
        if event.type is EventType.WORKER_CONTROL:
            self._obey(event.data)
