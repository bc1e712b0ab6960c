"""Outages and silences are counted as they are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from artifacts import create_store, open_store
from contracts.base.errors import BusUnavailable, StoreUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from orchestrator.core.state import Workflow
from orchestrator.service.health import BusHealth
from orchestrator.service.inbox import BusAway, BusReset, InboxMessage
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store
from tests.orchestrator.fleet import LEASE, Fleet, beat
from tests.orchestrator.plans import item

SECONDS = 20


class LateBus(MemoryBus):
    """Is away when it is first asked who it is."""

    asked = 0

    async def incarnation(self) -> str:
        self.asked += 1
        if self.asked == 1:
            raise BusUnavailable("not yet")
        return await super().incarnation()


class LateStore(Store):
    """Is away when its workflows are first read."""

    asked = 0

    async def load_open(self, names: Sequence[str]) -> list[Workflow]:
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("not yet")
        return await super().load_open(names)


async def test_an_outage_of_the_bus_is_shown_while_it_lasts_and_counted() -> None:
    counted, inbox = CollectorRegistry(), asyncio.Queue[InboxMessage]()
    health = BusHealth(
        LateBus(MemoryBroker()), inbox, lambda _: None, lambda: 0.0, OrchestratorMetrics(counted)
    )
    value, bus = counted.get_sample_value, {"what": "bus"}
    running = asyncio.create_task(health.run())
    async with asyncio.timeout(SECONDS):
        assert await inbox.get() == BusAway()
        assert value("multi_agent_away", bus) == 1
        assert await inbox.get() == BusReset()
    running.cancel()
    assert (value("multi_agent_away", bus), value("multi_agent_outages_total", bus)) == (0, 1)
    assert value("multi_agent_bus_seconds_count") == 2


async def test_an_outage_of_the_database_is_shown_while_it_lasts_and_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database, counted = open_database(url), CollectorRegistry()
    store = open_store(str(create_store(tmp_path / "artifacts.git")), tmp_path / "cache")
    owner = OrchestratorService(
        LateStore(database),
        MemoryBus(MemoryBroker()),
        store,
        OrchestratorSettings("owner"),
        metrics=OrchestratorMetrics(counted),
    )
    running = asyncio.create_task(owner.run())
    await asyncio.wait_for(owner.ready.wait(), SECONDS)
    value, what = counted.get_sample_value, {"what": "database"}
    assert (value("multi_agent_away", what), value("multi_agent_outages_total", what)) == (0, 1)
    assert value("multi_agent_shards_held") == 64
    owner.stop()
    await running
    await store.close()
    await database.close()


async def test_a_worker_that_is_silent_for_a_lease_is_counted() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1"))
    value = fleet.counted.get_sample_value
    await fleet.wait(LEASE - 1)
    assert value("multi_agent_lease_expiries_total") == 0
    await fleet.wait(3)
    assert value("multi_agent_lease_expiries_total") == 1
