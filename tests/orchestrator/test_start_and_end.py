"""What an orchestrator does before its first term, and what it leaves behind its last."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from artifacts import create_store, open_store
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.ownership import OrchestratorEntry
from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store

LEASE_SECONDS = 60.0


@pytest.mark.parametrize("gone", [frozenset({"dead"}), None], ids=["by name", "all others"])
async def test_shards_of_the_known_dead_are_taken_at_once(
    gone: frozenset[str] | None, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    artifacts = open_store(str(create_store(tmp_path / "artifacts.git")), tmp_path / "cache")
    store, counted = Store(database), CollectorRegistry()
    await store.ownership.renew(OrchestratorEntry("dead", "h", 1, time.time()), "")
    await store.ownership.transfer_shards("dead", dict.fromkeys(range(64), 0), ())
    before = asyncio.all_tasks()
    service = OrchestratorService(
        store,
        MemoryBus(MemoryBroker()),
        artifacts,
        OrchestratorSettings("next", lease_seconds=LEASE_SECONDS, gone=gone),
        metrics=OrchestratorMetrics(counted),
    )

    async def end() -> None:
        await service.ready.wait()
        assert counted.get_sample_value("multi_agent_recoveries_total") == 1
        service.stop()

    ending = asyncio.create_task(end())
    async with asyncio.timeout(LEASE_SECONDS / 6):
        await service.run()
    assert asyncio.all_tasks() == before, "nothing of it runs on, nor would for one turn of the loop"
    await ending
    await artifacts.close()
    await database.close()
