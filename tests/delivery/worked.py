"""A data folder with a workflow that has ended, over a clone of a project at a local server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agents.sdk.baselines import save_baseline
from artifacts import create_store, open_store
from artifacts.store.git_store import GitArtifactStore
from contracts.base.refs import RESULT, UNVERIFIED
from contracts.documents.baseline import Baseline, BaselineFailure
from contracts.documents.todo_list import TodoList
from contracts.messages.journal import WorkflowOffered
from contracts.ports.artifacts import PendingCommit, RefMove
from orchestrator.core.events import Merged
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.artifacts.builders import commit_all, git, outcome
from tests.release.history import Desk, item
from tests.support.forge import ForgeServer

NAME = "slug"
REQUEST = "Keep umlauts in slugs\n@everyone ``` <b>"
REPORT = {
    "passed": True,
    "results": [
        {"test_id": "tests/test_slug.py::test_umlaut", "outcome": "passed"},
        {"test_id": "tests/test_slug.py::test_new", "outcome": "passed"},
    ],
}


@dataclass(frozen=True)
class Worked:
    """Where everything is."""

    folder: Path
    clone: Path
    base: str
    commit: str

    @property
    def data(self) -> Path:
        return self.folder / ".multi_agent"


async def work(folder: Path, server: ForgeServer, *, failed: bool = False) -> Worked:
    """Let the workflow end well, or fail with something to offer."""
    clone = _clone(folder, server)
    data = folder / ".multi_agent"
    data.mkdir(parents=True)
    store = open_store(str(create_store(data / "artifacts.git")), data / "cache")
    try:
        base = await store.import_base(clone)
        code, tests = await _commits(store, base)
        await _history(data, base, code, tests, failed=failed)
        moves = [RefMove(NAME, "code", code), RefMove(NAME, "test", tests)]
        await store.publish([*moves, RefMove(NAME, UNVERIFIED if failed else RESULT, tests)])
        await save_baseline(store, NAME, _baseline(await store.tree_of(base)))
    finally:
        await store.close()
    return Worked(folder, clone, base, tests)


def _clone(folder: Path, server: ForgeServer) -> Path:
    clone = folder / "clone"
    clone.mkdir(parents=True)
    git(clone, "init", "-q", "-b", "main")
    for number in range(4):
        (clone / "slug.py").write_text(f"x = {number}\n")
        commit_all(clone, f"fix: number {number}")
    git(clone, "push", "-q", str(server.bare()), "main")
    git(clone, "remote", "add", "origin", f"{server.url}/acme/tool.git")
    return clone


async def _commits(store: GitArtifactStore, base: str) -> tuple[str, str]:
    def made(task: str, path: str, parent: str) -> PendingCommit:
        work = outcome(task, {path: b"x = 9\n"}, (parent,), workflow_id=NAME)
        return replace(work, title=f"Mend {task}")

    [code] = await store.write([made("code", "slug.py", base)])
    test = made("test", "tests/test_slug.py", code)
    metadata = test.metadata.model_copy(update={"report": REPORT, "agent_role": "tester"})
    [tests] = await store.write([replace(test, metadata=metadata)])
    return code, tests


async def _history(data: Path, base: str, code: str, tests: str, *, failed: bool) -> None:
    url = f"sqlite:///{data / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    try:
        desk = Desk(database)
        await desk.start("orchestrator-1")
        items = (item("code"), item("test", "code", role="tester", max_cycles=0))
        plan = TodoList(todo_list_id="plan", request=REQUEST, items=items)
        await desk.client.submit(plan, workflow_id=NAME, base_commit=base)
        await desk.apply_commands()
        await desk.finish(NAME, "code", commit=code, usage={"model_calls": 2, "cost_usd": 0.5})
        counts = {"passed": 2, "failed": int(failed)}
        verdict = "failed" if failed else "passed"
        await desk.finish(NAME, "test", commit=tests, verdict=verdict, tests=counts, backend="bubblewrap")
        if failed:
            await desk.record(NAME, WorkflowOffered(commit=tests))
        else:
            await desk.give(NAME, Merged(tests))
    finally:
        await database.close()


def _baseline(tree: str) -> Baseline:
    failing = (BaselineFailure(test="tests/test_slug.py::test_umlaut", error="AssertionError"),)
    return Baseline(
        tree=tree,
        environment="0" * 64,
        command="pytest",
        state="ran",
        exit_code=1,
        counted=True,
        found=2,
        passed=1,
        failed=1,
        failing=failing,
    )
