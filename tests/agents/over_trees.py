"""Tasks whose tree lies in a store, so that programs run over it and no file of it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agents.sdk.base_tree import BaseTree
from agents.sdk.task import Task
from agents.sdk.workplace import Workplace
from artifacts import GitArtifactStore, create_store
from artifacts.git.fast_import import FILE_MODE, Draft, Put
from artifacts.store.repository import Repository
from artifacts.store.tree_files import open_tree
from contracts.base.refs import SNAPSHOTS
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult
from contracts.ports.workspace import WorkspaceLimits
from sandbox_runner.workspace.opening import SandboxWorkspaces, WorkspaceBackend
from tests.workspace.repositories import trees

LIMITS = WorkspaceLimits(command_seconds=60, memory_mb=512, processes=64, disk_mb=64)


class OverTrees:
    """Gives tasks a tree in a store, and workspaces. As a sandbox it refuses to run what is sent to it."""

    isolation = Isolation.NAMESPACES

    def __init__(self, backend: WorkspaceBackend, place: Path) -> None:
        # Sandboxes enter it as another user.
        place.chmod(0o755)
        self.backend = backend.backend
        self.store = Repository(create_store(place / "store.git"))
        self.commits = GitArtifactStore(self.store)
        self.workspaces = SandboxWorkspaces(backend, trees(self.store, place / "cache"))

    def give(self, task: Task, first: Mapping[str, bytes] | None = None) -> Task:
        """The same task, its files committed; the workflow started from `first`, or tests and old code."""
        found = {path: content for path, content in task.files.items() if path.startswith("tests/")}
        start = self.commit(first or {**found, "app/calc.py": b"old\n", "gone.py": b"old\n"})
        commit = self.commit(task.files)
        base = BaseTree(open_tree(self.store, commit), task.reports, task.authors, commit)
        request = task.request.model_copy(update={"base_commit": start})
        workplace = Workplace(self.workspaces, self.commits, LIMITS)
        return replace(task, request=request, base=base, commits=self.commits, workplace=workplace)

    def commit(self, files: Mapping[str, bytes]) -> str:
        """A commit with these files."""
        puts = tuple(Put(path.encode(), FILE_MODE, content) for path, content in files.items())
        [commit] = self.store.commit([Draft(f"{SNAPSHOTS}/t", (), "t", 1_700_000_000, b"t\n", puts)])
        return commit

    async def run(self, request: SandboxRequest) -> SandboxResult:
        raise AssertionError(f"{len(request.files)} files were sent")

    async def close(self) -> None:
        await self.commits.close()
