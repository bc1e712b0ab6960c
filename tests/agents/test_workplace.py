"""The workspace of a task, by a real worker: it holds the task's tree, and ends with the task."""

from __future__ import annotations

import asyncio
import os

import pytest

from agents import AgentResult, Task
from artifacts.store.git_store import GitArtifactStore
from contracts.base.errors import AgentFailure, InvalidInput, NotConfigured
from contracts.bus.memory_bus import MemoryBus
from sandbox_runner.local.sandbox import LocalSandbox
from tests.agents.actors import Work, doing
from tests.agents.at_work import AtWork
from tests.agents.owner import Owner, running, until, worker
from tests.agents.support import TaskMaker, task_request
from tests.sandbox.leftovers import sandboxes_of
from tests.workspace.repositories import FILES, Project


async def test_it_is_opened_at_the_merged_outcomes_and_only_the_result_is_committed(at_work: AtWork) -> None:
    """Every byte, mode and name of a repository with all kinds stays as it is, n/n, beside the one change."""
    same: list[bool] = []

    async def work(task: Task) -> AgentResult:
        workspace = await task.workspace()
        same.append(workspace is await task.workspace())
        await workspace.exec(1, ("sh", "-c", "echo three >> a.txt; echo x > not-given-back; rm run.sh"))
        return AgentResult(files={"a.txt": await workspace.read("a.txt")}, summary="done")

    request = task_request(writable=["a.txt"], parents=[at_work.project.commit])
    outcome = await at_work.outcome(request, doing(work))
    assert (outcome.status, same) == ("succeeded", [True])
    assert outcome.commit is not None
    project = at_work.project
    before, after = (
        project.listed(project.store.objects.commit(name).tree) for name in (project.commit, outcome.commit)
    )
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert (changed, len(before)) == ({b"a.txt"}, len(FILES) + 1)
    written = at_work.project.store.objects.read(f"{outcome.commit}:a.txt")
    assert written is not None
    assert written.content == b"one\ntwo\nthree\n"


async def _fails(_: Task) -> AgentResult:
    raise AgentFailure("no way")


async def _crashes(_: Task) -> AgentResult:
    raise ZeroDivisionError


async def _succeeds(_: Task) -> AgentResult:
    return AgentResult(summary="done")


async def _takes_for_ever(task: Task) -> AgentResult:
    await (await task.workspace()).exec(1, ("sleep", "600"))
    raise AssertionError("it was ended")


@pytest.mark.parametrize(
    ("then", "ends"),
    [(_succeeds, ""), (_fails, "agent_failed"), (_crashes, "agent_crashed"), (_takes_for_ever, "timeout")],
)
async def test_it_ends_with_its_task(
    at_work: AtWork,
    local_sandbox: LocalSandbox,
    then: Work,
    ends: str,
) -> None:
    held: list[int] = []

    async def work(task: Task) -> AgentResult:
        await task.workspace()
        held.extend(sandboxes_of(os.getpid(), local_sandbox))
        return await then(task)

    request = task_request(
        parents=[at_work.project.commit], timeout_seconds=5 if then is _takes_for_ever else 60
    )
    async with at_work.sent(request, doing(work)):
        outcome = await at_work.owner.outcome()
        assert sandboxes_of(os.getpid(), local_sandbox) == []
    assert (len(held), outcome.error.code if outcome.error else "") == (1, ends)


async def test_it_ends_when_its_task_is_recalled(
    at_work: AtWork,
    local_sandbox: LocalSandbox,
) -> None:
    opened = asyncio.Event()

    async def work(task: Task) -> AgentResult:
        workspace = await task.workspace()
        opened.set()
        await workspace.exec(1, ("sleep", "600"))
        raise AssertionError("it was recalled")

    request = task_request(parents=[at_work.project.commit], timeout_seconds=600)
    async with at_work.sent(request, doing(work)):
        async with asyncio.timeout(60):
            await opened.wait()
        await at_work.owner.say(recalled=["d1"])
        await until(lambda: sandboxes_of(os.getpid(), local_sandbox) == [])


async def test_a_task_that_starts_from_nothing_has_an_empty_one(at_work: AtWork) -> None:
    found: list[object] = []

    async def work(task: Task) -> AgentResult:
        found.append(await (await task.workspace()).glob("**"))
        return AgentResult(summary="done")

    outcome = await at_work.outcome(task_request(), doing(work))
    assert (outcome.status, found) == ("succeeded", [()])


async def test_what_goes_on_after_its_task_gets_none(at_work: AtWork) -> None:
    kept: list[Task] = []

    async def work(task: Task) -> AgentResult:
        kept.append(task)
        return AgentResult(summary="done")

    await at_work.outcome(task_request(parents=[at_work.project.commit]), doing(work))
    with pytest.raises(InvalidInput, match="the task has ended"):
        await kept[0].workspace()


async def test_without_workspaces_it_says_why() -> None:
    with pytest.raises(NotConfigured, match="no sandbox host knows the artifact store"):
        await TaskMaker()().workspace()


@pytest.mark.parametrize("path", ["A.TXT", "DEEP/new.py", "a.txt/inside", "deep", "link/x", "vendored/x"])
async def test_a_new_name_must_fit_a_tree_whose_own_names_may_be_twins(
    bus: MemoryBus, owner: Owner, project_store: GitArtifactStore, project: Project, path: str
) -> None:
    async def work(_: Task) -> AgentResult:
        return AgentResult(files={path: "x"})

    async with running(worker(bus, project_store, doing(work))):
        await owner.dispatch(task_request(writable=[path], parents=[project.commit]))
        outcome = await owner.outcome()
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("path_not_allowed", True)
