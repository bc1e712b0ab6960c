"""The sandbox host: runs programs that others ask for, and is the only one who needs an engine.

It holds a request from the moment it is read; the stream forgets it then. What happens to it after that is
between host and caller: the host says every second what it holds, and the caller asks again for what nobody
does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from contracts.base.errors import BusUnavailable, DecodeError, GroupMissing
from contracts.messages.channels import Channels
from contracts.messages.sandbox import SandboxControl, SandboxHost, SandboxOrder
from contracts.ports.bus import Delivery, Done, MessageBus, Outgoing
from contracts.ports.sandbox import Sandbox
from sandbox_runner.service.answers import Answers
from sandbox_runner.service.executor import ProgramExecution, ProgramExecutor
from sandbox_runner.service.messages import Messages, read
from sandbox_runner.service.neighbours import Neighbours
from sandbox_runner.service.settings import HostSettings

_RECONNECT_SECONDS: Final = 0.5
_CANCEL_SECONDS: Final = 1.0
_FAREWELL_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)


class Host:
    """Serves requests with one sandbox until `stop`, and is over 10 s later at most.

    An absent bus only delays. The bus and the sandbox stay the caller's, who closes them. `clock` gives
    seconds since 1970.
    """

    def __init__(
        self,
        bus: MessageBus,
        sandbox: Sandbox,
        settings: HostSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._sandbox = sandbox
        self._settings = settings
        self._messages = Messages(f"sandbox-host/{settings.host_id}", clock)
        self._executor = ProgramExecutor(sandbox, settings, clock)
        self._answers = Answers()
        self._neighbours = Neighbours(bus, settings)
        self._running: dict[str, ProgramExecution] = {}
        self._given_back: list[str] = []
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._listening = asyncio.Event()

    def stop(self) -> None:
        """Take no new request, finish or give back what runs, leave. May be called in a signal handler."""
        self._stopping.set()
        self._changed.set()
        self._listening.set()

    async def run(self) -> None:
        """Serve until `stop`."""
        reading = asyncio.create_task(self._take_requests())
        steps: tuple[Coroutine[Any, Any, None], ...] = (
            self._listen(),
            self._beat(),
            self._send_again(),
            self._tidy(),
        )
        others = [asyncio.create_task(step) for step in steps]
        stopped: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        tasks = [stopped, reading, *others]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._leave(reading)
            for task in done - {stopped}:
                await task
        finally:
            for each in (*tasks, *(execution.task for execution in self._running.values())):
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- requests

    async def _take_requests(self) -> None:
        group = False
        # Who is not heard cannot cancel.
        await self._listening.wait()
        while not self._stopping.is_set():
            free = self._settings.slots - len(self._running)
            if free < 1:
                # What is not read stays for other hosts.
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                if not group:
                    await self._bus.ensure_group(Channels.SANDBOX_REQUESTS, Channels.SANDBOX_GROUP)
                    group = True
                found = await self._bus.read(
                    [Channels.SANDBOX_REQUESTS],
                    Channels.SANDBOX_GROUP,
                    self._settings.host_id,
                    count=free,
                    block_ms=self._settings.block_ms,
                )
            except GroupMissing:
                group = False
            except BusUnavailable as error:
                _log.debug("sandbox_host.bus_unavailable", error=str(error))
                await asyncio.sleep(_RECONNECT_SECONDS)
            else:
                await self._receive(found)

    async def _receive(self, deliveries: Sequence[Delivery]) -> None:
        """Start what can be read, and take the entries off the stream."""
        letters = []
        for delivery in deliveries:
            try:
                self._take(read(delivery.payload, SandboxOrder))
            except DecodeError as error:
                letters.append(self._refuse(delivery, error.reason))
        if not deliveries:
            return
        try:
            await self._bus.answer(Done(Channels.SANDBOX_GROUP, deliveries), letters)
        except BusUnavailable as error:
            # They stay in this host's hands on the stream; `Neighbours` finds them there.
            _log.debug("sandbox_host.ack_lost", error=str(error))
        await self._say([self._presence()])

    def _refuse(self, delivery: Delivery, reason: str) -> Outgoing:
        _log.warning("sandbox_host.dead_letter", entry=delivery.entry_id, reason=reason)
        if self._settings.metrics:
            self._settings.metrics.dead()
        return self._messages.dead(delivery, reason)

    def _take(self, order: SandboxOrder) -> None:
        """Start it, unless it is known. Raises DecodeError for a parcel that is none."""
        request_id = order.request_id
        if request_id in self._running or self._answers.is_over(request_id):
            _log.info("sandbox_host.duplicate", request_id=request_id)
        elif self._answers.ask_again(request_id):
            _log.info("sandbox_host.duplicate_finished", request_id=request_id)
        elif self._stopping.is_set():
            self._given_back.append(request_id)
        else:
            execution = self._running[request_id] = self._executor.start(order)
            # A task cancelled before its first step runs no `finally` of its own.
            execution.task.add_done_callback(lambda _: self._ended(request_id, order.caller_id))
            self._count()

    def _ended(self, request_id: str, caller_id: str) -> None:
        execution = self._running.pop(request_id)
        self._count()
        self._changed.set()
        if execution.given_back:
            self._given_back.append(request_id)
            return
        outcome = execution.outcome
        _log.info(
            "sandbox_host.finished", request_id=request_id, verdict=outcome.verdict, reason=outcome.reason
        )
        message = self._messages.outcome(caller_id, outcome)
        if not self._answers.is_over(request_id):
            self._answers.add(request_id, message, _now())
        if self._settings.metrics:
            self._settings.metrics.finished(outcome, _now() - execution.since)
        self._executor.background(self._say([message, self._presence()]))

    def _count(self) -> None:
        if self._settings.metrics:
            self._settings.metrics.running(len(self._running))

    # --- callers

    async def _listen(self) -> None:
        while True:
            subscription = self._bus.subscribe([Channels.SANDBOX_CONTROL, Channels.SANDBOX_HOSTS])
            try:
                await subscription.ready()
                self._listening.set()
                async for channel, payload in subscription:
                    self._hear(channel, payload)
            except BusUnavailable as error:
                _log.debug("sandbox_host.control_lost", error=str(error))
            finally:
                await subscription.close()
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _hear(self, channel: str, payload: bytes) -> None:
        try:
            if channel == Channels.SANDBOX_HOSTS:
                return self._neighbours.hear(read(payload, SandboxHost), _now())
            control = read(payload, SandboxControl)
        except DecodeError as error:
            _log.warning("sandbox_host.unreadable", channel=channel, reason=error.reason)
            return None
        self._executor.wanted(control.waiting)
        for request_id in (*control.received, *control.cancelled):
            self._answers.close(request_id)
        for request_id in control.cancelled:
            if request_id in self._running:
                _log.info("sandbox_host.cancelled", request_id=request_id)
                self._running[request_id].task.cancel()
        return None

    async def _beat(self) -> None:
        for number in range(2**62):
            await self._say([self._presence(), self._messages.heartbeat(self._settings.heartbeat(number))])
            await asyncio.sleep(self._settings.presence_seconds)

    async def _send_again(self) -> None:
        while True:
            await asyncio.sleep(self._settings.presence_seconds / 4)
            await self._say(self._answers.due(_now()))

    async def _tidy(self) -> None:
        """Look after what is on the stream and in no living host's hands."""
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 2)
            with suppress(BusUnavailable):
                if self._settings.metrics:
                    self._settings.metrics.waiting(await self._bus.depth(Channels.SANDBOX_REQUESTS))
                found = await self._neighbours.left_over(_now())
                await self._receive(found[: max(0, self._settings.slots - len(self._running))])

    async def _say(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            try:
                await self._bus.broadcast(messages)
            except BusUnavailable as error:
                _log.debug("sandbox_host.not_said", error=str(error))

    def _presence(self) -> Outgoing:
        held = (*self._running, *self._answers.open)
        host = SandboxHost(
            host_id=self._settings.host_id,
            machine=self._settings.machine,
            backend=self._sandbox.backend,
            isolation=self._sandbox.isolation.value,
            slots=0 if self._stopping.is_set() else self._settings.slots,
            running=len(self._running),
            held=held[:10_000],
            given_back=tuple(self._given_back),
        )
        return self._messages.presence(host)

    # --- the end

    async def _leave(self, reading: asyncio.Task[None]) -> None:
        self.stop()
        await self._say([self._presence()])
        # A cancelled read may have been served; waiting tells what must be given back.
        await asyncio.wait([reading], timeout=self._settings.block_ms / 1000 + _FAREWELL_SECONDS)
        await self._wait_running(self._settings.grace_seconds)
        for execution in self._running.values():
            execution.given_back = True
            execution.task.cancel()
        await self._wait_running(_CANCEL_SECONDS)
        self._given_back += self._running
        with suppress(TimeoutError, BusUnavailable):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._bus.broadcast([*self._answers.due(float("inf")), self._presence()])
                await self._bus.broadcast([self._messages.left(self._settings.host_id)])
                await self._neighbours.forget(self._settings.host_id)
        _log.info("sandbox_host.left", given_back=len(self._given_back))

    async def _wait_running(self, seconds: float) -> None:
        running = [execution.task for execution in self._running.values()]
        if running:
            await asyncio.wait(running, timeout=seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
