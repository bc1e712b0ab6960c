"""The worker: takes dispatches off the bus, executes them, reports until it is heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from agents.sdk.registry import AgentTable
from agents.worker.backoff import Backoff
from agents.worker.breaker import Breaker
from agents.worker.envelopes import Envelopes
from agents.worker.execution import Services, TaskExecutor
from agents.worker.outbox import Outbox
from agents.worker.presence import ControlListener, Presence
from agents.worker.reading import Reader
from agents.worker.settings import WorkerSettings
from agents.worker.slots import Held, Slots
from contracts.base.errors import BusUnavailable, DecodeError, GroupMissing
from contracts.base.failpoints import failpoint
from contracts.messages.events import (
    Control,
    EventType,
    TaskError,
    TaskEvent,
    TaskOutcome,
    TaskRequest,
    decode,
)
from contracts.ports.artifacts import ArtifactStore
from contracts.ports.bus import Delivery, MessageBus
from contracts.ports.model import ModelClient
from contracts.ports.sandbox import Sandbox

_MAX_GRACE_SECONDS: Final = 8.0
_CANCEL_SECONDS: Final = 0.5
_FAREWELL_SECONDS: Final = 0.7
_CLOSE_SECONDS: Final = 0.2
_GROUP_WAIT_SECONDS: Final = 0.2
_log = structlog.get_logger(__name__)


class Worker:
    """One worker of one process.

    `run` announces the worker, then works until `stop` and is over 10 s later at most. An absent bus only
    delays: executions go on, outcomes are kept. Raises NotConfigured for agents that cannot be used. The
    services stay the caller's, who closes them.
    """

    def __init__(
        self,
        bus: MessageBus,
        artifacts: ArtifactStore,
        model: ModelClient,
        sandbox: Sandbox,
        agents: Sequence[type],
        settings: WorkerSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`agents` as `agents.sdk.registry.discover` finds them; `clock` gives seconds since 1970."""
        self._bus = bus
        self._settings = settings
        self._table = AgentTable.of(agents, settings.roles)
        self._envelopes = Envelopes(settings.worker_id, clock, settings.new_id)
        self._outbox = Outbox(bus, settings.resend_seconds)
        self._breaker = Breaker(time.monotonic)
        self._executor = TaskExecutor(Services(artifacts, model, sandbox), self._table, settings.worker_id)
        self._slots = Slots(lambda: self._breaker.limit(settings.slots), self._execute, self._finished)
        served = (self._table.roles, self._table.streams + self._table.suspects)
        self._presence = Presence(bus, self._envelopes, settings, served, lambda: self._slots.executions)
        self._stopping = asyncio.Event()
        self._reader = Reader(
            bus,
            self._table.streams,
            self._table.suspects,
            settings.worker_id,
            settings.block_ms,
            lambda: self._slots.entries | self._outbox.entries,
        )

    def stop(self) -> None:
        """Take no new work, finish or hand back what is held, leave. May be called in a signal handler."""
        self._slots.close()
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`."""
        # The control channel comes first: once announced, the worker is spoken to.
        control = ControlListener(self._bus, self._settings.worker_id, self._obey)
        steps: tuple[Coroutine[Any, Any, None], ...] = (
            control.run(),
            self._presence.beat(),
            self._outbox.run(),
            self._take_work(),
        )
        tasks = [asyncio.create_task(step) for step in steps]
        stopped: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            broken = [task for task in tasks if task.done()]
            await self._leave(tasks)
            for task in broken:
                await task
        finally:
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.wait([stopped, *tasks], timeout=_CLOSE_SECONDS)
            with suppress(TimeoutError, BusUnavailable):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await control.close()

    async def _take_work(self) -> None:
        await self._presence.announce_until_sent()
        backoff = Backoff()
        while not self._stopping.is_set():
            count = await self._slots.wait_free()
            try:
                deliveries = await self._reader.read(count)
                backoff.reset()
            except GroupMissing:
                # Only the orchestrator creates groups; it does so for a worker that it hears.
                _log.info("worker.group_missing")
                self._outbox.resend_all()
                await self._presence.announce_until_sent()
                await asyncio.sleep(_GROUP_WAIT_SECONDS)
            except BusUnavailable as error:
                _log.debug("worker.bus_unavailable", error=str(error))
                await backoff.wait()
            else:
                if deliveries:
                    failpoint("worker.after_read")
                for delivery in deliveries:
                    self._receive(delivery)
                # They start, and what ends at once is answered, before the next read is sent.
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    def _receive(self, delivery: Delivery) -> None:
        try:
            event = self._decoded(delivery.payload)
        except DecodeError as error:
            self._refuse(delivery, error.reason)
            return
        dispatch_id = event.data.dispatch_id
        if self._slots.holds(dispatch_id):
            _log.info("worker.duplicate_held", dispatch_id=dispatch_id)
            self._outbox.ack(delivery)
        elif self._outbox.repeat(dispatch_id, delivery):
            _log.info("worker.duplicate_finished", dispatch_id=dispatch_id)
        else:
            _log.info(
                "worker.taken",
                workflow_id=event.workflowid,
                task_id=event.taskid,
                dispatch_id=dispatch_id,
                role=event.data.item.agent_role,
                attempt=event.data.attempt,
            )
            alone = delivery.stream in self._table.suspects
            self._slots.take(Held(event, delivery, self._settings.new_id(), alone))

    def _decoded(self, payload: bytes) -> TaskEvent[TaskRequest]:
        event = decode(payload)
        if event.type is not EventType.TASK_DISPATCHED:
            raise DecodeError(f"a request was expected, not {event.type}", payload)
        if not event.workflowid or event.taskid != event.data.item.task_id:
            raise DecodeError("the request does not say its workflow and task", payload)
        item = event.data.item
        if self._table.find(item.agent_role, item.required_tag) is None:
            raise DecodeError(
                f"no agent here for role {item.agent_role!r}, tag {item.required_tag!r}", payload
            )
        return event

    def _refuse(self, delivery: Delivery, reason: str) -> None:
        _log.warning("worker.dead_letter", stream=delivery.stream, entry=delivery.entry_id, reason=reason)
        if self._settings.metrics:
            self._settings.metrics.dead()
        self._outbox.dead_letter(self._envelopes.dead(delivery, reason), delivery)

    async def _execute(self, held: Held) -> TaskOutcome:
        if held.alone:
            # A death from now on is held against this task only because the owner knows that it runs alone.
            await self._presence.announce_until_sent()
        return await self._executor.execute(held.event, held.execution_id)

    def _finished(self, held: Held, outcome: TaskOutcome) -> None:
        role = held.event.data.item.agent_role
        _log.info(
            "worker.finished",
            workflow_id=held.event.workflowid,
            task_id=held.event.taskid,
            dispatch_id=held.dispatch_id,
            status=outcome.status,
            error=outcome.error.code if outcome.error else None,
        )
        if self._settings.metrics:
            self._settings.metrics.finished(role, outcome)
        outgoing = self._envelopes.outcome(held.event, outcome)
        self._outbox.outcome(held.dispatch_id, held.execution_id, outgoing, held.delivery)
        self._note_end(outcome.error)

    def _note_end(self, error: TaskError | None) -> None:
        """Hold back while something is away that work needs; see Breaker."""
        outage = error is not None and error.outage
        if not self._breaker.ended(outage=outage):
            return
        pause = self._breaker.pause_seconds
        if error is not None and outage:
            _log.warning("worker.paused", seconds=round(pause, 1), code=error.code, reason=error.message)
            asyncio.get_running_loop().call_later(pause, self._probe)
        else:
            _log.info("worker.resumed")
        if self._settings.metrics:
            self._settings.metrics.paused(outage)

    def _probe(self) -> None:
        if pause := self._breaker.pause_seconds:
            # The loop may call a little early.
            asyncio.get_running_loop().call_later(pause, self._probe)
        else:
            self._slots.start()

    def _obey(self, control: Control) -> None:
        self._outbox.acknowledged(control.acknowledged)
        for dispatch_id in control.recalled:
            delivery = self._slots.recall(dispatch_id)
            if delivery is not None:
                _log.info("worker.recalled", dispatch_id=dispatch_id)
                self._outbox.ack(delivery)
            self._outbox.recalled(dispatch_id)

    async def _leave(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        self.stop()
        *others, reading = tasks
        drain = asyncio.create_task(
            self._slots.drain(min(self._settings.grace_seconds, _MAX_GRACE_SECONDS), _CANCEL_SECONDS)
        )
        if self._reader.blocked:
            # A cancelled read may have been served; waiting tells what must be handed back.
            await asyncio.wait([reading], timeout=self._settings.block_ms / 1000 + _CLOSE_SECONDS)
        reading.cancel()
        handed_back = await drain
        for task in others:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._say_farewell(handed_back)
        _log.info("worker.left", handed_back=len(handed_back))

    async def _say_farewell(self, handed_back: tuple[str, ...]) -> None:
        backoff = Backoff()
        self._outbox.resend_all()
        while True:
            try:
                await self._outbox.flush()
                return await self._bus.broadcast([self._envelopes.left(handed_back)])
            except BusUnavailable:
                await backoff.wait()
