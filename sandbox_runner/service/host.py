"""The sandbox host: runs programs that others ask for, and is the only one who needs an engine.

The stream forgets a request as soon as a host has read it. From then on the host says in every heartbeat what
it holds, and the caller resends any request that no host holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog

from contracts.messages.events import TaskEvent
from contracts.messages.sandbox import SandboxControl, SandboxHost, SandboxOrder, SandboxOutcome
from contracts.ports.bus import Delivery, MessageBus, Outgoing
from contracts.ports.sandbox import Sandbox
from contracts.runtime.consumer import Consumer
from contracts.runtime.handler import Handler
from contracts.runtime.slots import InFlight
from sandbox_runner.service.announcer import HostAnnouncer
from sandbox_runner.service.executor import Program, ProgramExecutor
from sandbox_runner.service.messages import Messages, read
from sandbox_runner.service.peers import PeerHosts
from sandbox_runner.service.recent_ids import RecentIds
from sandbox_runner.service.settings import HostSettings
from sandbox_runner.service.workspaces.host import NO_ROOMS, HostedWorkspaces, Rooms
from sandbox_runner.service.workspaces.serving import Served

_log = structlog.get_logger(__name__)


class Host(Handler[Program, SandboxOutcome]):
    """Serves requests with one sandbox. An absent bus only delays.

    The bus and the sandbox stay the caller's, who closes them.
    """

    def __init__(
        self,
        bus: MessageBus,
        sandbox: Sandbox,
        settings: HostSettings,
        served: Served | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`served` opens workspaces, None for none; `clock` gives seconds since 1970."""
        self._settings = settings
        self._messages = Messages(f"sandbox-host/{settings.host_id}", clock)
        self._executor = ProgramExecutor(sandbox, settings, clock)
        self._peers = PeerHosts(bus, settings)
        self._over = RecentIds()
        self._consumer = Consumer(bus, self, settings.consumer(self._messages.source, clock))
        self._workspaces = HostedWorkspaces(bus, served, settings, self._messages) if served else None
        self._announcer = HostAnnouncer(bus, sandbox, settings, self._messages, self._consumer, self._rooms)

    def stop(self) -> None:
        """Take no new request, finish or give back what runs, leave. Safe in a signal handler."""
        self._consumer.stop()

    async def run(self) -> None:
        """Serve until `stop`; all is over 10 s after that at most."""
        workspaces = self._workspaces
        beside = [workspaces.listen(self._announcer.announce_soon), workspaces.watch()] if workspaces else []
        try:
            await self._consumer.run(self._peers.take_over(self._consumer), *beside)
        finally:
            if workspaces:
                await workspaces.close()
            await self._announcer.close()

    def decode(self, delivery: Delivery) -> tuple[str, Callable[[], Program]]:
        order = read(delivery.payload, SandboxOrder)
        return order.request_id, partial(self._executor.program, order)

    def execute(self, message: InFlight[Program]) -> Awaitable[SandboxOutcome]:
        return self._executor.run(message.message)

    def reply(self, message: InFlight[Program], result: SandboxOutcome | None) -> Outgoing:
        program = message.message
        outcome = self._executor.cancelled(program) if result is None else result
        _log.info("program_finished", request_id=message.key, verdict=outcome.verdict, reason=outcome.reason)
        if self._settings.metrics:
            self._settings.metrics.finished(outcome, _now() - program.since)
        return self._messages.outcome(program.order.caller_id, outcome)

    def is_over(self, key: str) -> bool:
        return key in self._over

    def heartbeat(self, sequence: int) -> Sequence[Outgoing]:
        return self._announcer.heartbeat(sequence)

    async def handle_control(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, SandboxHost):
            self._peers.handle_heartbeat(event.data, _now())
        elif isinstance(event.data, SandboxControl):
            self._obey(event.data)

    async def leave(self, handed_back: tuple[str, ...]) -> None:
        await self._announcer.leave()
        await self._peers.remove(self._settings.host_id)

    def dead_lettered(self) -> None:
        if self._settings.metrics:
            self._settings.metrics.dead()

    def changed(self) -> None:
        # At once: callers wait for free slots, and for what is given back.
        if self._settings.metrics:
            self._settings.metrics.running(len(self._consumer.slots))
        self._announcer.announce_soon()

    def _rooms(self) -> Rooms | None:
        """See HostAnnouncer."""
        if self._workspaces is None:
            return None
        return NO_ROOMS if self._consumer.stopping else self._workspaces.rooms

    def _obey(self, control: SandboxControl) -> None:
        self._executor.wanted(control.waiting)
        for request_id in (*control.received, *control.cancelled):
            self._over.note(request_id, _now())
            self._consumer.outbox.discard(request_id)
        for request_id in control.cancelled:
            if self._consumer.slots.cancel(request_id):
                _log.info("program_cancelled", request_id=request_id)


def _now() -> float:
    return asyncio.get_running_loop().time()
