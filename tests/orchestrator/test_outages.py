"""A real worker and a real owner while the sandbox is away: later is not a failure."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from agents import AgentResult, Task, agent
from agents.worker.metrics import WorkerMetrics
from artifacts import create_store, open_store
from contracts.base.errors import SandboxUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store
from tests.agents.owner import running, worker
from tests.orchestrator.plans import item, plan

OUTAGES = 2


class LateSandbox:
    """A sandbox whose engine is away for its first requests."""

    backend = "late"
    isolation = Isolation.CONTAINER

    def __init__(self, outages: int) -> None:
        self.outages = outages

    async def run(self, request: SandboxRequest) -> SandboxResult:
        if self.outages:
            self.outages -= 1
            raise SandboxUnavailable("the engine is away")
        return SandboxResult(Verdict.OK, 0, b"", b"", {}, 0.0, self.backend, self.isolation)

    async def close(self) -> None:
        return None


@agent(role="coder")
class Runs:
    async def run(self, task: Task) -> AgentResult:
        await task.run_sandbox(("true",))
        return AgentResult(files={}, summary="ran")


async def test_a_task_waits_for_its_sandbox_and_uses_up_no_retry(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database, broker = open_database(url), MemoryBroker()
    store = open_store(str(create_store(tmp_path / "artifacts.git")), tmp_path / "cache")
    client = WorkflowClient(database)
    metrics = CollectorRegistry()
    owner = OrchestratorService(
        Store(database),
        MemoryBus(broker),
        store,
        OrchestratorSettings("owner"),
        metrics=OrchestratorMetrics(CollectorRegistry()),
    )
    owning = asyncio.create_task(owner.run())
    made = worker(
        MemoryBus(broker), store, Runs, sandbox=LateSandbox(OUTAGES), metrics=WorkerMetrics(metrics)
    )
    async with running(made), asyncio.timeout(30):
        workflow = await client.submit(plan(item("a", max_retries=0)))
        async for view in client.follow(workflow):
            if view.tasks and view.tasks[0].outages:
                break
        assert metrics.get_sample_value("multi_agent_worker_paused") == 1
        async for view in client.follow(workflow):
            if view.header.status.terminal:
                break
    task = view.tasks[0]
    assert (task.status, task.failures, task.outages, task.crashes) == ("succeeded", 0, OUTAGES, 0)
    kinds = [entry.kind for entry in await client.events(workflow)]
    assert kinds.count("task.delayed") == OUTAGES
    assert metrics.get_sample_value("multi_agent_worker_paused") == 0
    owner.stop()
    await owning
    await store.close()
    await database.close()
