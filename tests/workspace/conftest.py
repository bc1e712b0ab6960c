"""Every backend and way to place a tree, as a parameter: whoever asks for `opener` runs once with each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.base.errors import SandboxUnavailable
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    Environment,
    ExecResult,
    Placement,
    Preparation,
    WorkspaceLimits,
)
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.probes.model import SandboxFacts
from sandbox_runner.workspace.opening import SandboxWorkspaces, WorkspaceBackend
from sandbox_runner.workspace.workspace import SandboxWorkspace
from tests.support import need, of_this_run
from tests.support.docker_engine import IMAGE, needed_engine
from tests.workspace.repositories import Project

PLACES = (
    ("bubblewrap", Placement.OVERLAY),
    ("bubblewrap", Placement.COPY),
    ("namespaces", Placement.OVERLAY),
    ("namespaces", Placement.COPY),
    ("docker", Placement.COPY),
)
SMALL = WorkspaceLimits(command_seconds=20, memory_mb=256, disk_mb=64, output_bytes=200_000)


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens workspaces of one project in one backend, all in one way."""

    backend: WorkspaceBackend
    placement: Placement
    project: Project
    facts: SandboxFacts

    @property
    def workspaces(self) -> SandboxWorkspaces:
        """The port."""
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
    ) -> AsyncIterator[SandboxWorkspace]:
        """A workspace, closed at the end."""
        workspace = await self.workspaces.open(base or self.project.base, environment, limits, preparation)
        try:
            yield workspace
        finally:
            await workspace.close()


async def shell(workspace: SandboxWorkspace, number: int, script: str) -> ExecResult:
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


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest, workspace_toolbox: Path) -> tuple[SandboxSettings, Placement]:
    """The backend and placement under test."""
    name, placement = request.param
    host = request.getfixturevalue("docker_host") if name == "docker" else None
    settings = SandboxSettings(backend=name, toolbox=workspace_toolbox, docker_host=host, image=IMAGE)
    return settings, placement


@pytest.fixture
async def opener(project: Project, place: tuple[SandboxSettings, Placement]) -> AsyncIterator[Opener]:
    """Opens workspaces of the project."""
    settings, placement = place
    try:
        opened = await open_untested(settings.backend, settings)
    except SandboxUnavailable as error:
        need(False, str(error))
        raise
    yield Opener(opened.sandbox, placement, project, opened.facts)
    await opened.sandbox.close()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder that sandboxes can read, with a package."""
    tmp_path.chmod(0o755)
    (tmp_path / "package.py").write_text("value = 7\n")
    return tmp_path


@pytest.fixture
async def workspace(opener: Opener) -> AsyncIterator[SandboxWorkspace]:
    """A workspace of the project."""
    async with opener.open() as opened:
        yield opened
