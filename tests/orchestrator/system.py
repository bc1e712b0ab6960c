"""An owner with a database, a Redis and a Git store of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from artifacts import GitArtifactStore, create_store, open_store
from contracts.bus.connect import open_message_bus
from contracts.ports.bus import MessageBus
from orchestrator.client.views import WorkerView, WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.store import Store
from tests.orchestrator.hand import STREAM, Hand, written
from tests.orchestrator.plans import outcome
from tests.support.redis_servers import PrivateRedis

LEASE_SECONDS = 1.5


@dataclass
class System:
    """An owner that can be killed and started again, and what it works on."""

    database: Database
    redis: PrivateRedis
    store: GitArtifactStore
    client: WorkflowClient
    bus: MessageBus
    task: asyncio.Task[None] | None = None
    owner: OrchestratorService | None = None
    count: int = 0

    async def start(self) -> None:
        self.count += 1
        self.owner = OrchestratorService(
            Store(self.database),
            open_message_bus(self.redis.url),
            self.store,
            OrchestratorSettings(f"owner-{self.count}", lease_seconds=LEASE_SECONDS),
            metrics=OrchestratorMetrics(CollectorRegistry()),
        )
        self.task = asyncio.create_task(self.owner.run())
        await asyncio.wait_for(self.owner.ready.wait(), 20)

    async def kill(self) -> None:
        """End the owner between two steps, without its farewell."""
        assert self.task is not None
        assert self.owner is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.owner.bus.close()
        # As long as the server takes it for a reader that waits, it is handed what comes next.
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                while "blocked_clients:0" not in str(self.redis.command("INFO", "clients")):  # noqa: ASYNC110 - polls a server
                    await asyncio.sleep(0.01)

    async def stop(self) -> None:
        assert self.task is not None
        assert self.owner is not None
        self.owner.stop()
        await asyncio.wait_for(self.task, 20)
        await self.owner.bus.close()

    async def settle(self) -> None:
        """Start again, and wait until the new owner took the work of all it has not heard of.

        It does so once, soon after its start, and then nobody is to blame for it.
        """
        await self.kill()
        before = WorkerView("of-before", "h", 1, ("coder",), (STREAM,), 1, 0.0)
        await Store(self.database).add_worker(before)
        await self.start()
        async with asyncio.timeout(20):
            while await self.client.workers():  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.02)

    async def until(self, workflow: str, reached: Callable[[WorkflowView], bool]) -> WorkflowView:
        async with asyncio.timeout(30):
            while True:
                view = await self.client.workflow(workflow)
                if view is not None and reached(view):
                    return view
                await asyncio.sleep(0.02)

    async def ended(self, workflow: str) -> WorkflowView:
        return await self.until(workflow, lambda view: view.header.status.terminal)

    async def refusals(self, workflow: str, count: int) -> None:
        """Wait until so many outcomes were refused."""
        async with asyncio.timeout(20):
            while (await self.kinds(workflow)).count("outcome.refused") < count:  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.02)

    async def letters(self, count: int) -> list[StoredDeadLetter]:
        """All dead letters, once there are so many."""
        async with asyncio.timeout(20):
            while len(found := await self.client.dead_letters(resolved=True)) < count:  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.02)
        return found

    async def kinds(self, workflow: str) -> list[str]:
        return [entry.kind for entry in await self.client.events(workflow)]


@asynccontextmanager
async def running(url: str, redis: PrivateRedis, folder: Path) -> AsyncIterator[System]:
    """From an empty database to its end; whoever asks for it stops the owner."""
    redis.flush()
    upgrade(url)
    database = open_database(url)
    store = open_store(str(create_store(folder / "artifacts.git")), folder / "cache")
    bus = open_message_bus(redis.url)
    system = System(database, redis, store, WorkflowClient(database), bus)
    await system.start()
    yield system
    for part in (bus, store, system.database):
        await part.close()


async def do_next(system: System, hand: Hand) -> str:
    """Take the next task and succeed; its commit."""
    delivery, request = await hand.take()
    commit = await written(system.store, request)
    await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
    return commit
