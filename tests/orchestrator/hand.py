"""A worker played by a test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from artifacts import GitArtifactStore
from contracts.base.errors import GroupMissing
from contracts.documents.reports import ArtifactMetadata
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import Execution as Held
from contracts.messages.payloads import Heartbeat, TaskOutcome, TaskRequest, WorkerLeft
from contracts.ports.artifacts import PendingCommit
from contracts.ports.bus import Delivery, MessageBus, Outgoing
from tests.orchestrator.plans import outcome

STREAM = Channels.requests("coder")
STREAMS = (STREAM, Channels.suspects("coder"))


@dataclass
class Hand:
    """A worker moved by the test, step by step."""

    bus: MessageBus
    name: str = "hand-1"
    held: list[Held] = field(default_factory=list)
    beats: int = 0
    streams: tuple[str, ...] = STREAMS

    async def beat(self) -> None:
        self.beats += 1
        heartbeat = Heartbeat(
            worker_id=self.name,
            host="here",
            pid=1,
            roles=("coder",),
            streams=self.streams,
            slots=4,
            sequence=self.beats,
            executions=tuple(self.held),
        )
        await self.cast(EventType.WORKER_HEARTBEAT, heartbeat)

    async def leave(self, reason: str, handed_back: tuple[str, ...] = (), logs: str | None = None) -> None:
        left = WorkerLeft.model_validate(
            {"worker_id": self.name, "reason": reason, "handed_back": handed_back, "logs": logs}
        )
        await self.cast(EventType.WORKER_LEFT, left)

    async def cast(self, kind: EventType, data: Heartbeat | WorkerLeft) -> None:
        event: TaskEvent[Heartbeat] | TaskEvent[WorkerLeft]
        fields = {
            "id": f"{self.name}-{self.beats}",
            "source": "test",
            "type": kind,
            "time": "2026-01-01T00:00:00Z",
        }
        if isinstance(data, Heartbeat):
            event = TaskEvent[Heartbeat](**fields, data=data)
        else:
            event = TaskEvent[WorkerLeft](**fields, data=data)
        await self.bus.broadcast([Outgoing(Channels.HEARTBEATS, encode(event))])

    async def take(self) -> tuple[Delivery, TaskEvent[TaskRequest]]:
        """The next dispatch, started and announced."""
        async with asyncio.timeout(20):
            while True:
                found = await self.read()
                if found:
                    event: TaskEvent[TaskRequest] = decode(found[0].payload)
                    self.held.append(
                        Held(
                            dispatch_id=event.id,
                            execution_id=f"e-{event.id}",
                            started=True,
                            workflow_id=event.workflowid,
                        )
                    )
                    await self.beat()
                    return found[0], event
                await self.beat()

    async def read(self) -> list[Delivery]:
        try:
            return await self.bus.read(self.streams, Channels.WORKERS_GROUP, self.name, count=1, block_ms=200)
        except GroupMissing:
            await asyncio.sleep(0.05)
            return []

    async def report(self, request: TaskEvent[TaskRequest], result: TaskOutcome) -> None:
        event = TaskEvent[TaskOutcome](
            id=f"o-{result.execution_id}",
            source="test",
            type=EventType.TASK_FINISHED,
            time="2026-01-01T00:00:00Z",
            workflowid=request.workflowid,
            taskid=request.taskid,
            data=result,
        )
        await self.bus.publish([Outgoing(request.data.reply_to, encode(event))])

    async def work(self, **more: object) -> TaskEvent[TaskRequest]:
        """Take a task and report success."""
        delivery, request = await self.take()
        result = outcome(request.id, worker_id=self.name, **more)
        await self.finish(delivery, request, result)
        return request

    async def finish(self, delivery: Delivery, request: TaskEvent[TaskRequest], result: TaskOutcome) -> None:
        self.held = [one for one in self.held if one.dispatch_id != request.id]
        await self.report(request, result)
        await self.bus.ack(Channels.WORKERS_GROUP, [delivery])


async def written(store: GitArtifactStore, request: TaskEvent[TaskRequest]) -> str:
    """A commit as a worker makes it."""
    data = request.data
    metadata = ArtifactMetadata(
        workflow_id=str(request.workflowid),
        task_id=data.item.task_id,
        correlation_id=str(request.workflowid),
        agent_role="coder",
        agent_version="1",
        timestamp="2026-01-01T00:00:00Z",
        artifacts=(f"{data.item.task_id}.py",),
    )
    commit = PendingCommit(
        str(request.workflowid),
        data.item.task_id,
        data.attempt,
        f"e-{request.id}",
        data.parents,
        {f"{data.item.task_id}.py": data.item.task_id.encode()},
        metadata,
        data.item.task_id,
        data.created_at,
    )
    return (await store.write([commit]))[0]
