"""Tasks whose tree lies in a store, so that programs run over it and no file of it is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from agents.sdk.task import Task
from agents.sdk.workplace import Workplace
from artifacts import GitArtifactStore, create_store
from artifacts.git.fast_import import FILE_MODE, Draft, Drop, Put
from artifacts.store.repository import Repository
from artifacts.store.tree_files import open_tree
from contracts.base.refs import SNAPSHOTS
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult
from contracts.ports.workspace import WorkspaceLimits, Workspaces
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
        self.workspaces: Workspaces = SandboxWorkspaces(backend, trees(self.store, place / "cache"))

    def give(self, task: Task, first: Mapping[str, bytes] | None = None) -> Task:
        """The same task, its files committed; the workflow started from `first`, or tests and old code."""
        found = {path: content for path, content in task.files.items() if path.startswith("tests/")}
        before = first or {**found, "app/calc.py": b"old\n", "gone.py": b"old\n"}
        start = self.commit(before)
        commit = self.commit(task.files, start, before)
        files = open_tree(self.store, commit)
        base = replace(task.base, files=files, commit=commit)
        request = task.request.model_copy(update={"base_commit": start})
        workplace = Workplace(self.workspaces, self.commits, LIMITS)
        return replace(task, request=request, base=base, commits=self.commits, workplace=workplace)

    def commit(self, files: Mapping[str, bytes], parent: str = "", before: Collection[str] = ()) -> str:
        """A commit with these files, on one that has those of `before`."""
        drops = (Drop(path.encode()) for path in before if path not in files)
        puts = (Put(path.encode(), FILE_MODE, content) for path, content in files.items())
        parents = (parent,) if parent else ()
        draft = Draft(f"{SNAPSHOTS}/t", parents, "t", 1_700_000_000, b"t\n", (*drops, *puts))
        [commit] = self.store.commit([draft])
        return commit

    async def run(self, request: SandboxRequest) -> SandboxResult:
        raise AssertionError(f"{len(request.files)} files were sent")

    async def close(self) -> None:
        await self.commits.close()
