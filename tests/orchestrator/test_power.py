"""Power failures: what a caller was told is on disk, whatever the owner made of it meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.diagnosis.verify import verify_invariants
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.sql.transactions import Body, T
from tests.orchestrator.hand import Hand
from tests.orchestrator.plans import item, plan
from tests.orchestrator.system import do_next, running
from tests.support.redis_servers import PrivateRedis


class Disk:
    """A database whose durable transactions are all that a power failure leaves."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._path = path
        self._kept = path.parent / "kept"
        self._kept.mkdir(exist_ok=True)

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        done = await self._database.write(body, durable=durable)
        if durable:
            for file in self._path.parent.glob(f"{self._path.name}*"):
                shutil.copy(file, self._kept)
        return done

    async def read(self, body: Body[T]) -> T:
        return await self._database.read(body)

    async def close(self) -> None:
        await self._database.close()

    def fail(self) -> None:
        """The power is gone, and back; the database must be closed."""
        for file in self._path.parent.glob(f"{self._path.name}*"):
            file.unlink()
        for file in self._kept.iterdir():
            file.rename(self._path.parent / file.name)


async def test_what_was_submitted_and_approved_is_applied_again_after_a_power_failure(
    redis: PrivateRedis, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    url = f"sqlite:///{path}"
    async with running(url, redis, tmp_path) as system:

        async def fail(disk: Disk) -> None:
            await system.stop()
            await system.database.close()
            disk.fail()
            redis.flush()
            system.database = open_database(url)
            system.client = WorkflowClient(system.database)

        await system.kill()
        disk = Disk(system.database, path)
        workflow = await WorkflowClient(disk).submit(plan(item("a"), item("b", "a", requires_approval=True)))
        await system.start()
        await do_next(system, Hand(system.bus, "hand-1"))
        await system.until(workflow, lambda view: view.tasks[1].status == "waiting_approval")

        await fail(disk)
        assert await system.client.workflow(workflow) is None
        await system.start()
        hand = Hand(system.bus, "hand-2")
        await do_next(system, hand)
        view = await system.until(workflow, lambda view: view.tasks[1].status == "waiting_approval")
        disk = Disk(system.database, path)
        await WorkflowClient(disk).approve(workflow, "b", view.action_hash("b"), "me")
        await do_next(system, hand)
        await system.ended(workflow)

        await fail(disk)
        view_after = await system.client.workflow(workflow)
        assert view_after is not None
        assert view_after.tasks[1].status == "waiting_approval"
        await system.start()
        await do_next(system, Hand(system.bus, "hand-3"))
        assert (await system.ended(workflow)).header.status == "completed"
        await system.stop()
        assert await verify_invariants(system.database, system.bus, system.store, listen_seconds=0.0) == []
