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
from sandbox_runner.local.sandbox import LocalSandbox
from sandbox_runner.workspace.opening import SandboxWorkspaces
from tests.agents.at_work import AtWork
from tests.agents.over_trees import OverTrees
from tests.agents.owner import CODER, Owner
from tests.support import need
from tests.workspace.repositories import Project


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
async def sandbox(local_sandbox: LocalSandbox) -> Sandbox:
    return local_sandbox


@pytest.fixture
async def over_trees(local_sandbox: LocalSandbox, tmp_path: Path) -> AsyncIterator[OverTrees]:
    made = OverTrees(local_sandbox, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=["sent", "over a tree"])
def either_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Both ways to run tests: their files are sent to the sandbox, or lie in a store."""
    name = "sandbox" if request.param == "sent" else "over_trees"
    found: Sandbox = request.getfixturevalue(name)
    return found


@pytest.fixture
async def local_sandbox(toolbox: Path) -> AsyncIterator[LocalSandbox]:
    program = bubblewrap.find()
    need(program is not None, "bubblewrap is not installed")
    assert program is not None
    made = bubblewrap.make(SandboxSettings(toolbox=toolbox), program)
    yield made
    await made.close()


@pytest.fixture
async def project(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Project]:
    """A repository with everything that could get lost."""
    made = Project(tmp_path_factory.mktemp("project"))
    yield made
    made.store.close()


@pytest.fixture
async def project_store(project: Project) -> AsyncIterator[GitArtifactStore]:
    opened = GitArtifactStore(project.store)
    yield opened
    await opened.close()


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


@pytest.fixture
def at_work(
    bus: MemoryBus,
    owner: Owner,
    project_store: GitArtifactStore,
    project: Project,
    local_sandbox: LocalSandbox,
) -> AtWork:
    """Workers over the project."""
    workspaces = SandboxWorkspaces(local_sandbox, project.trees)
    return AtWork(bus, owner, project_store, project, workspaces)
