"""A repository, its store, and workspaces in which environments are used."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from artifacts import create_store, open_store
from artifacts.store.git_store import GitArtifactStore
from artifacts.trees.git_trees import GitTrees
from contracts.base.errors import SandboxUnavailable
from contracts.base.processes.folder_cache import FolderCache
from contracts.ports.environments import Environments
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import ExecResult, WorkspaceLimits
from sandbox_runner.choose import open_untested
from sandbox_runner.engine.payload import UNPRIVILEGED
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.workspace.opening import SandboxWorkspaces, WorkspaceBackend
from tests.artifacts.builders import commit_all, git
from tests.support import need, of_this_run
from tests.support.docker_engine import IMAGE, needed_engine

LIMITS = WorkspaceLimits(command_seconds=60, memory_mb=512, disk_mb=128)
Files = dict[str, str]


class Place:
    """A user's repository, and the store and sandbox that work on it."""

    def __init__(
        self, folder: Path, store: GitArtifactStore, workspaces: SandboxWorkspaces, backend: WorkspaceBackend
    ) -> None:
        self.backend = backend
        self.repository = folder / "repository"
        self.store = store
        self.workspaces = workspaces
        self.cache = FolderCache(folder / "environments", 1_000_000_000)
        self.said: list[str] = []

    def write(self, files: Files) -> None:
        """Write files of the repository and commit them."""
        for path, text in files.items():
            (self.repository / path).parent.mkdir(parents=True, exist_ok=True)
            (self.repository / path).write_text(text)
        commit_all(self.repository)

    def tag(self, name: str) -> None:
        """Tag the last commit."""
        git(self.repository, "tag", name)

    async def run(self, environments: Environments, *commands: Sequence[str]) -> list[ExecResult]:
        """Run commands over the last commit in an environment; the tree must stay as it is."""
        commit = await self.store.import_base(self.repository)
        async with environments.prepare(commit, self.said.append) as prepared:
            assert prepared is not None
            workspace = await self.workspaces.open(TreeBase(commit), prepared.environment, LIMITS)
            try:
                done = [await workspace.exec(number, argv) for number, argv in enumerate(commands, 1)]
                changes = await workspace.diff()
                assert (changes.deleted, list(changes.files)) == ((), [])
                return done
            finally:
                await workspace.close()


@pytest.fixture(params=["bubblewrap", "namespaces"])
def backend(request: pytest.FixtureRequest) -> str:
    """The sandbox under test."""
    return str(request.param)


@pytest.fixture
def toolbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toolbox of this run's own, shared by its test processes."""
    return of_this_run(tmp_path_factory) / "workspace-toolbox"


def _make_repository(folder: Path) -> None:
    # Sandboxes enter it as another user.
    folder.chmod(0o755)
    (folder / "repository").mkdir()
    git(folder / "repository", "init", "-q", "-b", "main")


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of a private engine with the image."""
    yield from needed_engine()


@pytest.fixture
def sandbox_settings(toolbox: Path, backend: str, request: pytest.FixtureRequest) -> SandboxSettings:
    """Those of the sandbox under test."""
    host = request.getfixturevalue("docker_host") if backend == "docker" else None
    return SandboxSettings(backend=backend, toolbox=toolbox, docker_host=host, image=IMAGE)


@pytest.fixture
async def place(tmp_path: Path, backend: str, sandbox_settings: SandboxSettings) -> AsyncIterator[Place]:
    """An empty repository."""
    _make_repository(tmp_path)
    store = open_store(str(create_store(tmp_path / "store.git")), tmp_path / "store-cache")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        try:
            opened = await open_untested(backend, sandbox_settings)
        except SandboxUnavailable as error:
            need(False, str(error))
            raise
        stack.push_async_callback(opened.sandbox.close)
        owner = None if os.geteuid() else UNPRIVILEGED
        trees = GitTrees(store.repository, tmp_path / "checkouts", owner=owner)
        yield Place(tmp_path, store, SandboxWorkspaces(opened.sandbox, trees), opened.sandbox)
