"""WorkerServices for the tests of agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artifacts import GitArtifactStore, create_store, open_store
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.sandbox import Sandbox
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.local import bubblewrap
from tests.agents.owner import CODER, Owner
from tests.support import need


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GitArtifactStore]:
    place = create_store(tmp_path / "store.git")
    opened = open_store(str(place), tmp_path / "cache")
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def toolbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toolbox")


@pytest.fixture
async def sandbox(toolbox: Path) -> AsyncIterator[Sandbox]:
    program = bubblewrap.find()
    need(program is not None, "bubblewrap is not installed")
    assert program is not None
    made = bubblewrap.make(SandboxSettings(toolbox=toolbox), program)
    yield made
    await made.close()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def bus(broker: MemoryBroker) -> AsyncIterator[MemoryBus]:
    made = MemoryBus(broker)
    yield made
    await made.close()


@pytest.fixture
async def owner(broker: MemoryBroker) -> AsyncIterator[Owner]:
    bus = MemoryBus(broker)
    made = await Owner.on(bus)
    await made.serve(CODER)
    yield made
    await made.close()
    await bus.close()
