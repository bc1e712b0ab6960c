"""Every backend and way to place a tree, as a parameter: whoever asks for `opener` runs once with each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from contracts.base.errors import SandboxUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    Environment,
    ExecResult,
    Placement,
    Preparation,
    Workspace,
    WorkspaceLimits,
    Workspaces,
)
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.probes.model import SandboxFacts
from sandbox_runner.service.workspaces.remote import RemoteWorkspaces
from sandbox_runner.workspace.opening import SandboxWorkspaces, WorkspaceBackend
from tests.support import need, of_this_run
from tests.support.docker_engine import IMAGE, needed_engine
from tests.workspace.hosts import GivenEnvironments, remote_workspaces, workspace_host
from tests.workspace.repositories import Project
from tests.workspace.world import World

PLACES = (
    ("bubblewrap", Placement.OVERLAY),
    ("bubblewrap", Placement.COPY),
    ("namespaces", Placement.OVERLAY),
    ("namespaces", Placement.COPY),
    ("docker", Placement.COPY),
)
AT_HOST = ("bubblewrap", Placement.OVERLAY, "host")
SMALL = WorkspaceLimits(command_seconds=20, memory_mb=256, disk_mb=64, output_bytes=200_000)


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens workspaces of one project in one backend, all in one way."""

    backend: WorkspaceBackend
    placement: Placement
    project: Project
    facts: SandboxFacts
    at_host: tuple[RemoteWorkspaces, GivenEnvironments] | None = None
    """Workspaces at a host, and what environments that has; None for those of this machine."""

    @property
    def own(self) -> SandboxWorkspaces:
        """The port, on this machine."""
        overlay = self.placement is Placement.OVERLAY
        return SandboxWorkspaces(self.backend, self.project.trees, overlay=overlay)

    @property
    def mounts(self) -> bool:
        """Whether process 1 may mount files read-only."""
        return self.backend.backend != "docker"

    @asynccontextmanager
    async def open(
        self,
        limits: WorkspaceLimits = SMALL,
        base: TreeBase | None = None,
        environment: Environment = NO_ENVIRONMENT,
        preparation: Preparation = AS_IT_IS,
    ) -> AsyncIterator[Workspace]:
        """A workspace, closed at the end."""
        workspaces: Workspaces = self.own
        base = base or self.project.base
        if self.at_host is not None:
            workspaces, environments = self.at_host
            if environment is not NO_ENVIRONMENT:
                environment = environments.give(base.commit, environment)
        workspace = await workspaces.open(base, environment, limits, preparation)
        try:
            yield workspace
        finally:
            await workspace.close()


async def shell(workspace: Workspace, number: int, script: str) -> ExecResult:
    """Run a script that must succeed."""
    result = await workspace.exec(number, ("sh", "-ec", script))
    assert (result.verdict, result.exit_code) == ("ok", 0), (result.stdout, result.stderr)
    return result


@pytest.fixture(scope="session")
def workspace_toolbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toolbox of this run's own, shared by its test processes."""
    return of_this_run(tmp_path_factory) / "workspace-toolbox"


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of a private engine with the image."""
    yield from needed_engine()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One for all tests of this process: nobody can change it."""
    made = Project(tmp_path_factory.mktemp("project"))
    yield made
    made.store.close()


@pytest.fixture(params=(*PLACES, AT_HOST), ids="-".join)
def place(request: pytest.FixtureRequest, workspace_toolbox: Path) -> tuple[SandboxSettings, Placement, bool]:
    """The backend and placement under test, and whether it is that of a sandbox host."""
    name, placement, *at_host = request.param
    host = request.getfixturevalue("docker_host") if name == "docker" else None
    settings = SandboxSettings(backend=name, toolbox=workspace_toolbox, docker_host=host, image=IMAGE)
    return settings, placement, bool(at_host)


@pytest.fixture
async def opener(project: Project, place: tuple[SandboxSettings, Placement, bool]) -> AsyncIterator[Opener]:
    """Opens workspaces of the project."""
    settings, placement, at_host = place
    try:
        opened = await open_untested(settings.backend, settings)
    except SandboxUnavailable as error:
        need(False, str(error))
        raise
    own = Opener(opened.sandbox, placement, project, opened.facts)
    if at_host:
        environments, broker = GivenEnvironments(), MemoryBroker()
        theirs, ours = MemoryBus(broker), MemoryBus(broker)
        async with (
            workspace_host(theirs, own.own, opened.sandbox, environments),
            remote_workspaces(ours, project.trees) as remote,
        ):
            yield replace(own, at_host=(remote, environments))
    else:
        yield own
    await opened.sandbox.close()


@pytest.fixture
async def world(opener: Opener) -> AsyncIterator[World]:
    """A bus with no host on it yet."""
    async with AsyncExitStack() as stack:
        yield World(opener, SMALL, stack)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder that sandboxes can read, with a package."""
    tmp_path.chmod(0o755)
    (tmp_path / "package.py").write_text("value = 7\n")
    return tmp_path


@pytest.fixture
async def workspace(opener: Opener) -> AsyncIterator[Workspace]:
    """A workspace of the project."""
    async with opener.open() as opened:
        yield opened
