"""Measures our bus as a queue: requests through `RedisBus`, a worker that does nothing, outcomes read back.

`worker: bus` reads and answers in batches. `worker: agents` is the real `Worker` on an artifact store that
keeps nothing, so that the worker's loop is measured and not Git.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.noop import ROLE, Noop
from benchmarks.notes import WrongResult, check_notes, note, read_notes, use_notes
from benchmarks.services import Processes, private_redis
from benchmarks.stopwatch import start
from contracts.base.timestamps import rfc3339
from contracts.bus.connect import open_message_bus
from contracts.documents.todo_list import TodoItem
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode, encode_checked
from contracts.messages.payloads import Control, TaskOutcome, TaskRequest
from contracts.ports.artifacts import PendingCommit
from contracts.ports.bus import MessageBus, Outgoing

_REQUESTS: Final = f"agent.requests.{ROLE}"
_RESULTS: Final = "agent.results.0"
_BATCH: Final = 256


async def queue(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure no-op tasks per second, until every outcome is decoded and acknowledged.

    Job: `worker` (bus, agents), `count`, `payload` (bytes), `seconds` (at most).
    """
    notes, count = use_notes(folder), job["count"]
    async with private_redis(folder) as server:
        bus = open_message_bus(server.url)
        for stream in (_REQUESTS, Channels.suspects(ROLE, None)):
            await bus.ensure_group(stream, Channels.WORKERS_GROUP)
        await bus.ensure_group(_RESULTS, "orchestrator")
        processes = Processes(folder)
        processes.start("worker", ["python", "-m", "benchmarks.our_queue", server.url, job["worker"]])
        try:
            await bus.publish([_request("warm", "")])
            await _read_results(bus, 1, 60)
            notes.write_text("")
            began = start()
            payload = "x" * job["payload"]
            sending = asyncio.create_task(_send(bus, count, payload))
            got = await _read_results(bus, count, job.get("seconds", 120))
            await sending
            took = time.monotonic() - began
        finally:
            await processes.stop()
            await bus.close()
    if len(got) != count:
        raise WrongResult(f"{len(got)} outcomes for {count} tasks")
    check_notes(read_notes(notes), {f"q{number}": () for number in range(count)})
    return {"value": count / took, "seconds": took}


async def _send(bus: MessageBus, count: int, payload: str) -> None:
    for first in range(0, count, _BATCH):
        names = [f"q{number}" for number in range(first, min(count, first + _BATCH))]
        await bus.publish([_request(name, payload) for name in names])


async def _read_results(bus: MessageBus, count: int, seconds: float) -> set[str]:
    """Read, acknowledge and confirm outcomes; return their dispatch ids."""
    found: set[str] = set()
    async with asyncio.timeout(seconds):
        while len(found) < count:
            deliveries = await bus.read([_RESULTS], "orchestrator", "bench", count=_BATCH, block_ms=1000)
            outcomes = [decode(one.payload).data for one in deliveries]
            found.update(outcome.dispatch_id for outcome in outcomes)
            await bus.ack("orchestrator", deliveries)
            received: dict[str, list[str]] = {}
            for outcome in outcomes:
                received.setdefault(outcome.worker_id, []).append(outcome.execution_id)
            await bus.broadcast([_acknowledgement(worker, ids) for worker, ids in received.items()])
    return found


def _request(name: str, payload: str) -> Outgoing:
    data = {
        "dispatch_id": name,
        "reply_to": _RESULTS,
        "attempt": 1,
        "created_at": 1,
        "request": "benchmark",
        "item": TodoItem(task_id=name, title=name, description=payload, agent_role=ROLE),
    }
    attributes = {"id": name, "source": "bench", "time": _now(), "workflowid": "w", "taskid": name}
    return Outgoing(_REQUESTS, encode_checked(EventType.TASK_DISPATCHED, data, **attributes))


def _acknowledgement(worker_id: str, ids: Sequence[str]) -> Outgoing:
    event = TaskEvent[Control](
        id="c",
        source="bench",
        type=EventType.WORKER_CONTROL,
        time=_now(),
        data=Control(acknowledged=tuple(ids)),
    )
    return Outgoing(Channels.control(worker_id), encode(event))


def _now() -> str:
    return rfc3339(time.time())


class NoStore:
    """An artifact store that returns commit names and keeps nothing."""

    async def write(self, commits: Sequence[PendingCommit]) -> list[str]:
        """Return a name for each commit."""
        return [hashlib.sha1(commit.execution_id.encode()).hexdigest() for commit in commits]


async def work_bus(url: str) -> None:
    """Run a worker that reads, answers and acknowledges in batches."""
    bus = open_message_bus(url)
    while True:
        deliveries = await bus.read([_REQUESTS], Channels.WORKERS_GROUP, "w", count=_BATCH, block_ms=1000)
        outgoing = []
        for delivery in deliveries:
            request = decode(delivery.payload)
            note(request.taskid or "")
            outgoing.append(_outcome(request))
        await bus.publish(outgoing)
        await bus.ack(Channels.WORKERS_GROUP, deliveries)


def _outcome(request: TaskEvent[TaskRequest]) -> Outgoing:
    dispatch = request.data.dispatch_id
    outcome = TaskOutcome(dispatch_id=dispatch, execution_id=dispatch, worker_id="w", status="succeeded")
    attributes = {"id": dispatch, "source": "worker/w", "time": _now()}
    return Outgoing(request.data.reply_to, encode_checked(EventType.TASK_FINISHED, outcome, **attributes))


async def work_agents(url: str) -> None:
    """Run the real worker."""
    from agents.worker.execution import WorkerServices  # noqa: PLC0415 - the other worker needs none of it
    from agents.worker.settings import WorkerSettings  # noqa: PLC0415
    from agents.worker.worker import Worker  # noqa: PLC0415
    from multi_agent.models import ModelSettings, build_model  # noqa: PLC0415

    nothing: Any = NoStore()
    model = build_model(ModelSettings(spec="replay"))
    settings = WorkerSettings(worker_id=f"w{os.getpid()}", host="localhost", roles=(ROLE,), slots=64)
    await Worker(open_message_bus(url), WorkerServices(nothing, model, nothing), [Noop], settings).run()


if __name__ == "__main__":
    from contracts.base.secrets.redaction import Redactor
    from multi_agent.telemetry.logs import set_up_logs

    set_up_logs("warning", Redactor(), process="worker")
    asyncio.run(work_bus(sys.argv[1]) if sys.argv[2] == "bus" else work_agents(sys.argv[1]))
