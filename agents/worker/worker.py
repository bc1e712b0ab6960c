"""The worker: reads dispatches off the bus, executes them with agents, and reports until it is heard."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from agents.sdk.registry import AgentTable
from agents.worker.execution import TaskExecutor, WorkerServices
from agents.worker.messages import WorkerMessages, decode_request
from agents.worker.observer import WorkerObserver
from agents.worker.request_age import RequestAge
from agents.worker.settings import WorkerSettings
from contracts.base.errors import DecodeError
from contracts.messages.events import TaskEvent
from contracts.messages.payloads import Control, Execution, Heartbeat, TaskOutcome, TaskRequest
from contracts.ports.bus import Delivery, MessageBus, Outgoing
from contracts.runtime.consumer import Consumer
from contracts.runtime.handler import Handler
from contracts.runtime.slots import InFlight

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
        self._executor = TaskExecutor(services, self._table, settings.worker_id)
        self._observer = WorkerObserver(settings.metrics)
        self._age = RequestAge(clock, settings.lease_seconds)
        self._consumer = Consumer(bus, self, settings.consumer(self._messages.source, self._table, clock))

    def stop(self) -> None:
        """Take no new work, finish or hand back what is held, leave. Safe in a signal handler."""
        self._consumer.stop()

    async def run(self) -> None:
        """Announce the worker and work until `stop`; all is over 10 s after that at most."""
        await self._consumer.run()

    def decode(self, delivery: Delivery) -> tuple[str, Callable[[], TaskEvent[TaskRequest]]]:
        event = decode_request(delivery.payload)
        item = event.data.item
        if self._table.find(item.agent_role, item.required_tag) is None:
            raise DecodeError(
                f"no agent here for role {item.agent_role!r}, tag {item.required_tag!r}", delivery.payload
            )
        return event.data.dispatch_id, lambda: event

    def execute(self, message: _Dispatch) -> Awaitable[TaskOutcome]:
        return self._executor.execute(message.message, message.execution_id)

    def reply(self, message: _Dispatch, result: TaskOutcome | None) -> Outgoing:
        # The worker cancels no execution whose outcome is wanted, so without a result the agent did.
        outcome = result or self._executor.self_cancelled(message.message, message.execution_id)
        self._observer.finished(message.message, outcome)
        return self._messages.outcome(message.message, outcome)

    def heartbeat(self, sequence: int) -> Sequence[Outgoing]:
        heartbeat = Heartbeat(
            worker_id=self._settings.worker_id,
            host=self._settings.host,
            pid=os.getpid(),
            roles=self._table.roles,
            streams=self._table.streams + self._table.suspects,
            slots=self._settings.slots,
            sequence=sequence,
            executions=tuple(map(_execution, self._consumer.slots)),
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

    async def leave(self, handed_back: tuple[str, ...]) -> None:
        await self._bus.broadcast([self._messages.left(handed_back)])

    def is_doubtful(self, message: _Dispatch) -> bool:
        return self._age.is_old(message.message.data.created_at)

    def is_outage(self, result: TaskOutcome) -> bool:
        return result.error is not None and result.error.outage

    def received(self, message: _Dispatch) -> None:
        self._observer.received(message.message)

    def dead_lettered(self) -> None:
        self._observer.dead_lettered()

    def paused(self, seconds: float, result: TaskOutcome) -> None:
        self._observer.paused(seconds, result)


def _execution(dispatch: _Dispatch) -> Execution:
    return Execution(
        dispatch_id=dispatch.key,
        execution_id=dispatch.execution_id,
        started=dispatch.task is not None,
        workflow_id=dispatch.message.workflowid,
    )
