"""A coder that ends before its work leaves what its last step left, as a commit that says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents import AgentResult, Task, agent
from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.exchange_log import LastStep
from agents.sdk.registry import agent_info
from agents.worker.unfinished import unfinished_work
from artifacts.store.git_store import GitArtifactStore
from contracts.base.errors import AgentFailure, ModelRejected
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.payloads import TaskOutcome
from contracts.messages.suspension import Question
from contracts.ports.trees import TreeChanges, TreeFile
from tests.agents.at_work import AtWork
from tests.agents.owner import Owner, running, worker
from tests.agents.support import ScriptedModel, TaskMaker, task_request
from tests.agents.test_repository_work import step
from tests.workspace.repositories import Project

EDIT = step(("edit", {"path": "a.txt", "old": "two\n", "new": "two\nthree\n"}))
MORE = step(
    ("write", {"path": "notes.txt", "content": "n\n"}),
    ("run", {"command": "echo x > made.log; echo x > deep/other.py; rm crlf.txt; mkdir -p __pycache__"}),
)
ASK = step(("ask", {"question": "Which?"}))
WRITABLE = ["a.txt", "notes.txt", "made.log", "crlf.txt"]


async def outcome_of(
    bus: MemoryBus,
    owner: Owner,
    project: Project,
    agent_class: type,
    *,
    questions: int | None = None,
    store: type[GitArtifactStore] = GitArtifactStore,
    **more: Any,
) -> TaskOutcome:
    """What becomes of a task in the project."""
    request = task_request(
        parents=[project.commit], writable=WRITABLE, timeout_seconds=more.pop("seconds", 60)
    ).model_copy(update={"base_commit": project.commit, "questions": questions})
    async with running(worker(bus, store(project.store), agent_class, **more)):
        await owner.dispatch(request)
        [event] = await owner.outcomes(1, seconds=60)
    assert isinstance(event.data, TaskOutcome)
    return event.data


def left(project: Project, commit: str | None) -> dict[str, bytes | None]:
    """What a commit changed, beside the record of how it was made."""
    assert commit is not None
    found = project.changed(project.store.objects.commit(commit).tree)
    return {path.decode(): content for path, content in found.items() if not path.startswith(b".multi-agent")}


async def test_what_the_last_step_left_is_kept_when_the_model_is_gone(
    bus: MemoryBus, owner: Owner, project: Project, at_work: AtWork
) -> None:
    model = ScriptedModel(EDIT, MORE, ModelRejected("the account is closed"))
    found = await outcome_of(bus, owner, project, CoderAgent, model=model, workspaces=at_work.workspaces)
    assert (found.status, found.error and found.error.code) == ("failed", "model_rejected")
    changed = {"a.txt": b"one\ntwo\nthree\n", "notes.txt": b"n\n", "crlf.txt": None}
    assert left(project, found.commit) == changed
    message = project.store.objects.read(found.commit or "")
    assert message is not None
    assert b"Task t1 (unfinished)\n" in message.content


async def test_what_an_agent_that_asks_a_person_has_so_far_is_kept(
    bus: MemoryBus, owner: Owner, project: Project, at_work: AtWork
) -> None:
    model = ScriptedModel(EDIT, ASK)
    places = at_work.workspaces
    found = await outcome_of(bus, owner, project, CoderAgent, questions=1, model=model, workspaces=places)
    assert found.suspended is not None
    assert found.suspended.question == Question(text="Which?")
    assert left(project, found.commit) == {"a.txt": b"one\ntwo\nthree\n"}


async def test_it_is_kept_at_the_deadline(bus: MemoryBus, owner: Owner, project: Project) -> None:
    changes = TreeChanges(("a.txt",), {"notes.txt": TreeFile(b"n\n")})
    tree = await project.trees.write_tree(project.tree, changes)

    @agent(role="coder")
    class Waiting:
        """Waits for an answer that never comes."""

        async def run(self, task: Task) -> AgentResult:
            task.exchanges.last_step = LastStep(tree, ("notes.txt",))
            await asyncio.Event().wait()
            raise AssertionError

    found = await outcome_of(bus, owner, project, Waiting, seconds=1)
    assert (found.status, found.error and found.error.code) == ("failed", "timeout")
    assert left(project, found.commit) == {"a.txt": None, "notes.txt": b"n\n"}


@pytest.mark.parametrize(
    ("place", "content", "expected"),
    [
        ("notes.txt", b"one\ntwo\n", {"a.txt": None, "notes.txt": b"one\ntwo\n"}),
        ("deep/other.txt", b"one\ntwo\n", {}),
        ("notes.txt", b"one\nand two\n", {}),
    ],
    ids=["kept", "to where it may not write", "changed since"],
)
async def test_what_a_command_moved_is_kept_whole_or_stays(
    place: str,
    content: bytes,
    expected: dict[str, bytes | None],
    bus: MemoryBus,
    owner: Owner,
    project: Project,
) -> None:
    files = {place: TreeFile(content), "crlf.txt": TreeFile(b"new\n")}
    tree = await project.trees.write_tree(project.tree, TreeChanges(("a.txt",), files))
    found = await outcome_of(bus, owner, project, failing(tree))
    assert left(project, found.commit) == {"crlf.txt": b"new\n", **expected}


class BreakingStore(GitArtifactStore):
    """Fails as nobody foresaw."""

    async def changes(self, old: str, new: str, *, max_bytes: int) -> TreeChanges:
        raise ValueError("more than fits a document")


def failing(tree: str, *written: str) -> type:
    """An agent that leaves a tree, and fails."""

    @agent(role="coder")
    class Failing:
        """Gives up after a step."""

        async def run(self, task: Task) -> AgentResult:
            task.exchanges.last_step = LastStep(tree, written)
            raise AgentFailure("no way on", code="stuck", retryable=False)

    return Failing


async def test_why_it_ended_is_told_whatever_happens_to_the_work(
    bus: MemoryBus, owner: Owner, project: Project
) -> None:
    with capture_logs() as logs:
        found = await outcome_of(bus, owner, project, failing(project.tree), store=BreakingStore)
    assert (found.error and found.error.code, found.commit) == ("stuck", None)
    [said] = [log["reason"] for log in logs if log["event"] == "unfinished_work_not_kept"]
    assert said == "ValueError: more than fits a document"


async def test_it_takes_no_longer_than_the_execution_may_last(project: Project) -> None:
    reached = list[str]()

    class SlowStore(GitArtifactStore):
        async def changes(self, old: str, new: str, *, max_bytes: int) -> TreeChanges:
            await asyncio.sleep(0.1)
            reached.append(new)
            return await super().changes(old, new, max_bytes=max_bytes)

    task = TaskMaker()(role="coder", base=BaseTree({}, commit=project.commit))
    task.exchanges.last_step = LastStep(project.tree, ())
    info, now = agent_info(failing("")), asyncio.get_running_loop().time()
    store = SlowStore(project.store)
    assert await unfinished_work(task, store, info, "e1", "c1", deadline=now - 2) is None
    assert reached == []
    assert await unfinished_work(task, store, info, "e1", "c1", deadline=now + 60) is None
    assert reached == [project.tree]
