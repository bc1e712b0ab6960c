"""The orchestrator's side of the protocol, as far as a worker sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from agents.worker.execution import WorkerServices
from agents.worker.settings import WorkerSettings
from agents.worker.worker import Worker
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import Control, Heartbeat, TaskOutcome, TaskRequest, WorkerLeft
from contracts.ports.artifacts import WorkerArtifacts
from contracts.ports.bus import Delivery, MessageBus, Outgoing, Subscription
from contracts.ports.environments import Environments
from contracts.ports.model import ModelClient
from contracts.ports.sandbox import Sandbox
from contracts.ports.workspace import Workspaces
from tests.agents.support import CREATED_AT, ScriptedModel, ScriptedSandbox, request_event

RESULTS = Channels.results(0)
CODER = Channels.requests("coder")
SUSPECTS = Channels.suspects("coder")
SECONDS = 20.0


def suspects_of(stream: str) -> str:
    """The stream of the same role and tag whose tasks run alone."""
    return stream.replace(Channels.AGENT_REQUESTS, Channels.SUSPECTS, 1)


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = SECONDS) -> None:
    """Return when the condition holds; a test that waits in vain fails."""
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.005)


class Owner:
    """Creates groups, sends requests and control, reads outcomes, and listens to heartbeats."""

    def __init__(self, bus: MessageBus, subscription: Subscription) -> None:
        self.bus = bus
        self._subscription = subscription
        self.heartbeats: list[Heartbeat] = []
        self.left: list[WorkerLeft] = []
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def on(cls, bus: MessageBus) -> Owner:
        subscription: Any = bus.subscribe([Channels.HEARTBEATS])
        await subscription.ready()
        owner = cls(bus, subscription)
        await bus.ensure_group(RESULTS, Channels.ORCHESTRATORS_GROUP)
        await bus.ensure_group(Channels.DEAD_LETTERS, Channels.ORCHESTRATORS_GROUP)
        return owner

    async def serve(self, *streams: str) -> None:
        """Create the workers' groups, also those for suspects."""
        for stream in streams:
            for name in (stream, suspects_of(stream)):
                await self.bus.ensure_group(name, Channels.WORKERS_GROUP)

    async def dispatch(self, *requests: TaskRequest) -> None:
        await self.dispatch_raw(*(encode(request_event(request)) for request in requests))

    async def dispatch_raw(self, *payloads: bytes, stream: str = CODER) -> None:
        await self.bus.publish([Outgoing(stream, payload) for payload in payloads])

    async def outcomes(
        self, count: int, stream: str = RESULTS, seconds: float = SECONDS
    ) -> list[TaskEvent[Any]]:
        """The next `count` events of a stream, acknowledged as entries."""
        found: list[TaskEvent[Any]] = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                deliveries = await self.bus.read(
                    [stream], Channels.ORCHESTRATORS_GROUP, "owner", count=count - len(found), block_ms=5_000
                )
                await self.bus.ack(Channels.ORCHESTRATORS_GROUP, deliveries)
                found += [decode(delivery.payload) for delivery in deliveries]
        return found

    async def outcome(self, seconds: float = SECONDS) -> TaskOutcome:
        [event] = await self.outcomes(1, seconds=seconds)
        assert isinstance(event.data, TaskOutcome)
        return event.data

    async def say(
        self,
        *,
        acknowledged: Sequence[str] = (),
        recalled: Sequence[str] = (),
        confirmed: Sequence[str] | None = None,
        time: str = "2025-06-15T12:00:00Z",
    ) -> None:
        event = TaskEvent[Control](
            id="control",
            source="orchestrator/test",
            type=EventType.WORKER_CONTROL,
            time=time,
            data=Control(
                acknowledged=tuple(acknowledged),
                recalled=tuple(recalled),
                confirmed=confirmed and tuple(confirmed),
            ),
        )
        await self.bus.broadcast([Outgoing(Channels.control("w-1"), encode(event))])

    async def unacknowledged(self, stream: str = CODER) -> list[Delivery]:
        return await self.bus.pending(stream, Channels.WORKERS_GROUP, "w-1")

    async def settled(self, stream: str = CODER) -> None:
        """Return when the worker has acknowledged all it read, and nothing is left to read."""
        await self.left_in(stream, 0)

    async def left_in(self, stream: str, count: int) -> None:
        """Return when the stream holds that many entries."""

        async def reached() -> bool:
            return await self.bus.depth(stream) == count

        await until(reached)

    @property
    def listed(self) -> list[dict[str, bool]]:
        """What each heartbeat held, and whether it was started."""
        return [{each.dispatch_id: each.started for each in beat.executions} for beat in self.heartbeats]

    async def close(self) -> None:
        self._listener.cancel()
        await asyncio.wait([self._listener])
        await self._subscription.close()

    async def _listen(self) -> None:
        async for _, payload in self._subscription:
            data = decode(payload).data
            if isinstance(data, Heartbeat):
                self.heartbeats.append(data)
            elif isinstance(data, WorkerLeft):
                self.left.append(data)


def worker(
    bus: MessageBus,
    store: WorkerArtifacts,
    *agents: type,
    model: ModelClient | None = None,
    sandbox: Sandbox | None = None,
    workspaces: Workspaces | None = None,
    environments: Environments | None = None,
    **settings: Any,
) -> Worker:
    """A worker with short times, a fixed clock and counted ids."""
    numbers = iter(range(1_000_000))
    values: dict[str, Any] = {
        "worker_id": "w-1",
        "host": "test-host",
        "heartbeat_seconds": 0.05,
        "resend_seconds": 0.05,
        "block_ms": 200,
        "new_id": lambda: f"id-{next(numbers)}",
    }
    return Worker(
        bus,
        WorkerServices(
            store,
            model or ScriptedModel(),
            sandbox or ScriptedSandbox(),
            workspaces=workspaces,
            environments=environments,
        ),
        agents,
        WorkerSettings(**{**values, **settings}),
        lambda: float(CREATED_AT),
    )


@asynccontextmanager
async def running(made: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """Run the worker; it is stopped at the end unless the test did that."""
    task = asyncio.create_task(made.run())
    try:
        yield task
    finally:
        made.stop()
        await task
