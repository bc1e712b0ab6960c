"""The audit where only a part of the system can be asked, and what it takes for a trace of a dispatch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from contracts.ports.bus import Outgoing
from orchestrator.core.sharding import shard_of
from orchestrator.diagnosis.observe import observe_surroundings
from orchestrator.diagnosis.verify import verify_invariants
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, open_database
from tests.agents.support import request_event, task_request
from tests.orchestrator.plans import item
from tests.release.history import Desk

STREAM = Channels.requests("coder")


@pytest.fixture
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path_factory.mktemp('verify') / 'state.db'}"
    upgrade(url)
    opened = open_database(url)
    yield opened
    await opened.close()


async def dispatched(database: Database) -> str:
    """One workflow, whose only task is dispatched; the id of the dispatch."""
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("w", item("a"))
    await desk.commit()
    return desk._dispatch_id("w", "a")


async def findings(database: Database, bus: MemoryBus | None) -> list[str | None]:
    return [one.task_id for one in await verify_invariants(database, bus, None, listen_seconds=0.0)]


async def test_a_database_alone_is_audited(database: Database) -> None:
    await dispatched(database)
    assert await findings(database, None) == []


@pytest.mark.parametrize("stream", [STREAM, Channels.results(shard_of("w"))])
async def test_a_dispatch_lies_on_a_request_stream_or_its_outcome_on_another(
    database: Database, stream: str
) -> None:
    dispatch_id = await dispatched(database)
    bus = MemoryBus(MemoryBroker())
    await bus.ensure_group(STREAM, Channels.WORKERS_GROUP)
    assert await findings(database, bus) == ["a"]
    found = request_event(task_request()).model_copy(update={"id": dispatch_id})
    await bus.publish([Outgoing(stream, encode(found))])
    assert await findings(database, bus) == []


async def test_who_is_silent_is_not_waited_for(database: Database) -> None:
    await dispatched(database)
    began, before = time.monotonic(), asyncio.all_tasks()
    async with asyncio.timeout(10):
        _, around = await observe_surroundings(database, MemoryBus(MemoryBroker()), "w", listen_seconds=0.2)
    assert around.holders == {}
    assert time.monotonic() - began < 5
    assert asyncio.all_tasks() == before, "nobody listens on"
