"""The Sandbox port over the bus: programs run at sandbox hosts, and this process needs no engine.

A request is sent once, and again when no host has held it for a lease. The caller remembers it, not the
stream, so a lost stream, a dead host and a lost answer are the same to it. At worst a program runs twice,
which has no effect beyond its result; a second result is ignored.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from contracts.base.errors import BusUnavailable, DecodeError, SandboxUnavailable
from contracts.base.processes.command_lines import Advice
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent
from contracts.messages.sandbox import (
    MAX_SANDBOX_MESSAGE_BYTES,
    SandboxControl,
    SandboxHost,
    SandboxOrder,
    SandboxOutcome,
)
from contracts.ports.bus import MessageBus, SubscribePort
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult
from contracts.runtime.subscription import SubscriptionLoop
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.payload import check_request
from sandbox_runner.service.call_policy import CallTimeouts, KnownHosts, Step, WaitingRequest
from sandbox_runner.service.messages import Messages, order_of, read, result_of

NO_HOST: Final = Advice("no sandbox host answers; start one", ("worker", "--role", "sandbox"))
_MOST_WAITING: Final = 1_000
_LOOK_SECONDS: Final = 0.1
_REPEAT_SECONDS: Final = 1.0
_END_SECONDS: Final = 3.0
_UNHELD_END_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class _Call:
    """A request whose result is waited for."""

    def __init__(self, order: SandboxOrder, waiting: WaitingRequest) -> None:
        self.order = order
        self.waiting = waiting
        self.outcome: asyncio.Future[SandboxOutcome] = asyncio.get_running_loop().create_future()


class RemoteSandbox:
    """Sandboxes of other processes.

    Errors are those of the port; SandboxUnavailable also when no host is heard within `timeouts.answer`
    seconds, or none has a free slot in time.
    """

    def __init__(
        self,
        bus: MessageBus,
        caller_id: str,
        *,
        timeouts: CallTimeouts | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`caller_id` is unique for the life of the process; `clock` gives seconds since 1970.

        The bus stays the caller's, who closes it.
        """
        self._bus = bus
        self._caller_id = caller_id
        self._timeouts = timeouts or CallTimeouts()
        self._clock = clock
        self._messages = Messages(f"sandbox-caller/{caller_id}", clock)
        self._known = KnownHosts(self._timeouts.lease)
        self._calls: dict[str, _Call] = {}
        self._jobs: list[asyncio.Task[None]] = []
        self._results = SubscriptionLoop(
            bus,
            [Channels.sandbox_results(caller_id), Channels.SANDBOX_HOSTS],
            self._hear,
            MAX_SANDBOX_MESSAGE_BYTES,
        )
        self.backend = "host"
        self.isolation = Isolation.SYSCALLS

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """See contracts.ports.Sandbox. A cancelled call waits a moment for its host to say that it ended."""
        await asyncio.to_thread(check_request, request)
        seconds = request.limits.wall_seconds + self._timeouts.queue
        request_id = uuid.uuid4().hex
        order = await asyncio.to_thread(
            order_of,
            request,
            request_id=request_id,
            caller_id=self._caller_id,
            deadline=self._clock() + seconds,
            remaining_seconds=seconds,
        )
        await asyncio.to_thread(self._messages.order, order)
        self._start()
        now = asyncio.get_running_loop().time()
        call = self._calls[request_id] = _Call(order, WaitingRequest(request_id, now, now + seconds))
        try:
            return await asyncio.to_thread(result_of, await self._outcome(call))
        except DecodeError as error:
            raise SandboxUnavailable(f"a sandbox host sent an unreadable result: {error}") from None
        except asyncio.CancelledError:
            await run_to_completion(self._cancel(call))
            raise
        except SandboxUnavailable:
            await self._say(SandboxControl(caller_id=self._caller_id, cancelled=(request_id,)))
            raise
        finally:
            del self._calls[request_id]

    async def close(self) -> None:
        """Stop listening. Call it when no `run` is under way."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs.clear()

    def _start(self) -> None:
        if not self._jobs:
            self._jobs = [
                asyncio.create_task(self._results.run()),
                asyncio.create_task(self._repeat_waiting()),
            ]

    async def _outcome(self, call: _Call) -> SandboxOutcome:
        waiting = call.waiting
        while True:
            now = asyncio.get_running_loop().time()
            step = waiting.step(self._known.alive(now), self._timeouts, now)
            if step is Step.NOBODY:
                raise SandboxUnavailable(str(NO_HOST))
            if step is Step.TOO_LATE:
                raise SandboxUnavailable("the sandbox hosts did not find the time to run this program")
            # Its results could not be heard before, and it would be asked for twice.
            if step is Step.PUBLISH and self._results.listening.is_set() and await self._publish(call):
                waiting.was_published(asyncio.get_running_loop().time())
            done, _ = await asyncio.wait([call.outcome], timeout=_LOOK_SECONDS)
            if done:
                return call.outcome.result()

    async def _publish(self, call: _Call) -> bool:
        """Whether it was sent; an absent bus is waited for like absent hosts."""
        try:
            remaining = call.waiting.deadline - asyncio.get_running_loop().time()
            times = {"deadline": self._clock() + remaining, "remaining_seconds": remaining}
            if await self._bus.depth(Channels.SANDBOX_REQUESTS) >= _MOST_WAITING:
                return False
            await self._bus.publish([self._messages.order(call.order.model_copy(update=times))])
        except BusUnavailable as error:
            _log.debug("bus_unavailable", error=str(error))
            return False
        return True

    async def _cancel(self, call: _Call) -> None:
        """Have the program ended, and wait until its host says so; a silent host is not waited for long."""
        request_id = call.waiting.request_id
        if call.waiting.published is None:
            return
        await self._say(SandboxControl(caller_id=self._caller_id, cancelled=(request_id,)))
        held = call.waiting.held is not None
        await asyncio.wait([call.outcome], timeout=_END_SECONDS if held else _UNHELD_END_SECONDS)

    async def _hear(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, SandboxHost):
            self._note_host(event.data)
        elif isinstance(event.data, SandboxOutcome):
            await self._finish(event.data)

    def _note_host(self, host: SandboxHost) -> None:
        now = asyncio.get_running_loop().time()
        self._known.handle_heartbeat(host, now)
        self.backend, self.isolation = host.backend, Isolation(host.isolation)
        for call in self._calls.values():
            call.waiting.note(host, now)

    async def _finish(self, outcome: SandboxOutcome) -> None:
        if not self._known.believes(outcome.host_id, outcome.request_id, asyncio.get_running_loop().time()):
            _log.warning("result_not_believed", host_id=outcome.host_id, request_id=outcome.request_id)
            return
        self.backend, self.isolation = outcome.backend, Isolation(outcome.isolation)
        call = self._calls.get(outcome.request_id)
        if call is not None and not call.outcome.done():
            call.outcome.set_result(outcome)
        # Also when nobody waits for it any more: its host would send it again and again.
        await self._say(SandboxControl(caller_id=self._caller_id, received=(outcome.request_id,)))

    async def _repeat_waiting(self) -> None:
        """Say what is waited for: a host whose clock differs believes this rather than a deadline."""
        while True:
            await asyncio.sleep(_REPEAT_SECONDS)
            if self._calls:
                await self._say(SandboxControl(caller_id=self._caller_id, waiting=tuple(self._calls)))

    async def _say(self, control: SandboxControl) -> None:
        with suppress(BusUnavailable):
            await self._bus.broadcast([self._messages.control(control)])


async def find_hosts(bus: SubscribePort, seconds: float) -> Sequence[SandboxHost]:
    """The hosts that are heard within so many seconds. Raises BusUnavailable."""
    found: dict[str, SandboxHost] = {}
    subscription = bus.subscribe([Channels.SANDBOX_HOSTS])
    try:
        await subscription.ready()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _, payload in subscription:
                    with suppress(DecodeError):
                        host = read(payload, SandboxHost)
                        found[host.host_id] = host
    finally:
        await subscription.close()
    return list(found.values())
