"""The worker: reads dispatches off the bus, executes them with agents, and reports until it is heard."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import structlog

from agents.sdk.registry import AgentTable
from agents.worker.board import Held
from agents.worker.execution import TaskExecutor, WorkerServices
from agents.worker.messages import Origin, WorkerMessages, decode_request
from agents.worker.observer import WorkerObserver
from agents.worker.request_age import RequestAge
from agents.worker.settings import WorkerSettings
from contracts.base.errors import BusUnavailable, DecodeError
from contracts.base.processes.shortage import shortage_of
from contracts.messages.events import TaskEvent
from contracts.messages.payloads import Control, Execution, Heartbeat, TaskOutcome, TaskRequest
from contracts.messages.steps import StepTaken
from contracts.ports.bus import Delivery, MessageBus, Outgoing
from contracts.runtime.consumer import Consumer
from contracts.runtime.handler import Handler
from contracts.runtime.slots import InFlight

_log = structlog.get_logger(__name__)

_Dispatch: TypeAlias = InFlight[TaskEvent[TaskRequest]]


class Worker(Handler[TaskEvent[TaskRequest], TaskOutcome]):
    """One worker of one process.

    An absent bus only delays: executions go on, outcomes are kept. The bus and the services stay the
    caller's, who closes them.
    """

    def __init__(
        self,
        bus: MessageBus,
        services: WorkerServices,
        agents: Sequence[type],
        settings: WorkerSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`agents` as `agents.sdk.registry.discover` finds them; `clock` gives seconds since 1970.

        Raises NotConfigured for agents that cannot be used.
        """
        self._bus = bus
        self._settings = settings
        self._table = AgentTable.of(agents, settings.roles)
        self._messages = WorkerMessages(settings.worker_id, clock, settings.new_id)
        self._executor = TaskExecutor(services, self._table, settings.worker_id, self._tell_step)
        self._observer = WorkerObserver(settings.metrics)
        self._age = RequestAge(clock, settings.lease_seconds)
        self._reading = settings.reading(self._table)
        self._board = settings.board
        self._stepped_back = False
        self._consumer = Consumer(bus, self, settings.consumer(self._messages.source, self._reading, clock))

    @property
    def stepped_back(self) -> bool:
        """Whether it stopped by itself, so that a fresh process may take its place."""
        return self._stepped_back

    async def _tell_step(self, event: TaskEvent[TaskRequest], taken: StepTaken) -> None:
        with suppress(BusUnavailable):
            await self._bus.broadcast([self._messages.step(event, taken)])

    def stop(self) -> None:
        """Take no new work, finish or hand back what is held, leave. Safe in a signal handler."""
        self._consumer.stop()

    async def run(self) -> None:
        """Announce the worker and work until `stop`; all is over 10 s after that at most."""
        if self._board is None:
            await self._consumer.run()
        else:
            await self._consumer.run(self._board.show_life())

    def decode(self, delivery: Delivery) -> tuple[str, Callable[[], TaskEvent[TaskRequest]]]:
        event = decode_request(delivery.payload)
        item = event.data.item
        if self._table.find(item.agent_role, item.required_tag) is None:
            raise DecodeError(
                f"no agent here for role {item.agent_role!r}, tag {item.required_tag!r}", delivery.payload
            )
        return event.data.dispatch_id, lambda: event

    def execute(self, message: _Dispatch) -> Awaitable[TaskOutcome]:
        if self._board:
            self._board.limit(message.key, message.message.data.item.timeout_seconds)
        return self._executor.execute(message.message, message.execution_id)

    def reply(self, message: _Dispatch, result: TaskOutcome | None) -> Outgoing:
        # The worker cancels no execution whose outcome is wanted, so without a result the agent did.
        outcome = result or self._executor.self_cancelled(message.message, message.execution_id)
        if outcome.error is not None:
            safe = self._settings.redact(outcome.error.message)
            outcome = outcome.model_copy(update={"error": outcome.error.model_copy(update={"message": safe})})
        self._observer.finished(message.message, outcome)
        if self._executor.is_short:
            self._step_back("an execution was short of resources")
        return self._messages.outcome(Origin.of(message.message), outcome)

    def heartbeat(self, sequence: int) -> Sequence[Outgoing]:
        heartbeat = Heartbeat(
            worker_id=self._settings.worker_id,
            host=self._settings.host,
            pid=os.getpid(),
            roles=self._reading.roles,
            streams=self._reading.all_streams,
            slots=1 if self._settings.lane.one_at_a_time else self._settings.slots,
            sequence=sequence,
            executions=tuple(map(_execution, self._consumer.slots)),
            keeper_id=self._settings.keeper_id,
        )
        return [self._messages.heartbeat(heartbeat)]

    async def handle_control(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, Control):
            self._age.heard(event.time)
            self._consumer.outbox.confirm(event.data.acknowledged)
            for dispatch_id in event.data.confirmed or ():
                self._consumer.confirm(dispatch_id)
            for dispatch_id in event.data.recalled:
                self._consumer.revoke(dispatch_id)
                if self._board:
                    self._board.recall(dispatch_id)

    async def leave(self, handed_back: tuple[str, ...]) -> None:
        await self._bus.broadcast([self._messages.left(handed_back)])

    def is_doubtful(self, message: _Dispatch) -> bool:
        return self._age.is_old(message.message.data.created_at)

    def is_outage(self, result: TaskOutcome) -> bool:
        return result.error is not None and result.error.outage

    def received(self, message: _Dispatch) -> None:
        if self._board:
            self._board.hold(_held(message))
        self._observer.received(message.message)

    def started(self, message: _Dispatch) -> None:
        if self._board:
            self._board.start(message.key)

    def removed(self, message: _Dispatch) -> None:
        if self._board:
            self._board.remove(message.key)

    def dead_lettered(self) -> None:
        self._observer.dead_lettered()

    def unreachable(self, error: BusUnavailable) -> None:
        if shortage_of(error) is not None:
            self._step_back("the bus cannot be reached for want of resources")

    def _step_back(self, reason: str) -> None:
        """Leave, where a keeper starts a fresh process: a fork heals a leak."""
        if self._settings.keeper_id and not self._stepped_back:
            self._stepped_back = True
            _log.warning("worker_stepped_back", reason=reason)
            self._consumer.stop()

    def paused(self, seconds: float, result: TaskOutcome) -> None:
        self._observer.paused(seconds, result)


def _execution(dispatch: _Dispatch) -> Execution:
    return Execution(
        dispatch_id=dispatch.key,
        execution_id=dispatch.execution_id,
        started=dispatch.task is not None,
        workflow_id=dispatch.message.workflowid,
    )


def _held(dispatch: _Dispatch) -> Held:
    delivery = dispatch.delivery
    return Held(
        dispatch.key,
        dispatch.execution_id,
        dispatch.message.data.item.agent_role,
        delivery.stream,
        delivery.entry_id,
        Origin.of(dispatch.message),
    )
