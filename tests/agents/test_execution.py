"""Executions by a worker: what comes of them, over the bus in memory and a real Git store."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from agents import AgentResult, Task, agent
from agents.worker.metrics import WorkerMetrics
from artifacts import GitArtifactStore
from contracts.base.errors import (
    AgentFailure,
    ModelRejected,
    ModelUnavailable,
    ReplayMiss,
    SandboxUnavailable,
    StoreUnavailable,
    UnsafePath,
)
from contracts.bus.memory_bus import MemoryBus
from contracts.documents.reports import ReviewFinding
from contracts.messages.channels import Channels
from contracts.messages.events import EventType
from contracts.messages.payloads import ReviewSummary, TaskOutcome, TestSummary, Usage
from tests.agents.actors import Gate, Writer, failing
from tests.agents.owner import Owner, running, until, worker
from tests.agents.support import CREATED_AT, ScriptedModel, request_event, task_request


async def test_a_request_becomes_a_commit_and_an_outcome(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    model = ScriptedModel("x = 1\n")
    request = task_request(writable=["out.py", "old.py"])
    async with running(worker(bus, store, Writer, model=model)):
        await owner.dispatch(request)
        [event] = await owner.outcomes(1)
        await owner.settled()
    cause = request_event(request)
    assert event.type is EventType.TASK_FINISHED
    assert (event.causationid, event.correlationid) == (cause.id, cause.correlationid)
    assert (event.workflowid, event.taskid, event.attempt) == ("w1", "t1", 1)
    outcome = event.data
    assert (outcome.status, outcome.verdict, outcome.summary) == ("succeeded", "passed", "written")
    assert outcome.tests == TestSummary(passed=2, failed=0)
    assert outcome.usage.model_calls == 1
    tree = await store.read_tree(outcome.commit)
    assert tree["out.py"] == b"x = 1\n"
    record = (await store.read_records("w1", outcome.commit))["t1"]
    assert b'"agent_version": "3.2"' in record
    assert b'"timestamp": "2025-06-15T15:06:40Z"' in record
    assert CREATED_AT == 1_750_000_000


@agent(role="coder")
class Idle:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult(summary="nothing to do")


async def test_what_leaves_nothing_makes_no_commit(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, Idle)):
        await owner.dispatch(task_request())
        outcome = await owner.outcome()
    assert (outcome.status, outcome.summary, outcome.commit) == ("succeeded", "nothing to do", None)


async def test_i2_the_same_dispatch_executed_by_two_workers_gives_one_commit(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    model = ScriptedModel("x = 1\n")
    commits = []
    for _ in range(2):
        async with running(worker(bus, store, Writer, model=model)):
            await owner.dispatch(task_request(writable=["out.py", "old.py"]))
            found = await owner.outcome()
            await owner.say(acknowledged=[found.execution_id])
            commits.append(found.commit)
    assert commits[0] == commits[1]
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (AgentFailure("no way", code="no_way", retryable=False), "no_way", False),
        (AgentFailure("bad code name", code="Not A Code"), "agent_failed", True),
        (ModelUnavailable("busy"), "model_unavailable", True),
        (SandboxUnavailable("broken"), "sandbox_unavailable", True),
        (StoreUnavailable("away"), "store_unavailable", True),
        (ModelRejected("key"), "model_rejected", False),
        (ReplayMiss("none"), "replay_miss", False),
        (UnsafePath("path"), "invalid_input", False),
        (KeyError("x"), "agent_crashed", True),
        (SystemExit(3), "agent_crashed", True),
        (asyncio.CancelledError("own"), "agent_crashed", True),
        (TimeoutError("own"), "agent_crashed", True),
    ],
)
async def test_an_error_becomes_an_outcome(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, error: BaseException, code: str, retryable: bool
) -> None:
    async with running(worker(bus, store, failing(error))):
        await owner.dispatch(task_request())
        found = await owner.outcome()
    assert found.status == "failed"
    assert found.commit is None
    assert found.error is not None
    assert (found.error.code, found.error.retryable) == (code, retryable)
    assert code != "agent_crashed" or type(error).__name__ in found.error.message


async def test_the_deadline_ends_an_attempt(bus: MemoryBus, owner: Owner, store: GitArtifactStore) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent())):
        await owner.dispatch(task_request(timeout_seconds=1))
        found = await owner.outcome()
    assert found.error is not None
    assert (found.error.code, found.error.retryable) == ("timeout", True)
    assert gate.ended == ["d1"]


@pytest.mark.parametrize(
    "path", ["../out.py", "other.py", ".multi-agent/tasks/t1.json", ".git/config", "a\\b"]
)
async def test_a_path_that_is_not_the_tasks_is_refused(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, path: str
) -> None:
    @agent(role="coder")
    class Elsewhere:
        async def run(self, task: Task) -> AgentResult:
            return AgentResult(files={path: "x"})

    async with running(worker(bus, store, Elsewhere)):
        await owner.dispatch(task_request(writable=["out.py", ".multi-agent/", "docs/"]))
        found = await owner.outcome()
    assert found.error is not None
    assert found.error.code == "path_not_allowed"


async def test_an_agent_sees_its_parents_trees_and_reports(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    seen: list[Task] = []

    @agent(role="coder")
    class Looking:
        async def run(self, task: Task) -> AgentResult:
            seen.append(task)
            return AgentResult(files={f"{task.item.task_id}.txt": task.item.task_id})

    async with running(worker(bus, store, Looking)):
        parents = []
        for name in ("a", "b"):
            await owner.dispatch(task_request(dispatch_id=name, task_id=name, writable=[f"{name}.txt"]))
            found = await owner.outcome()
            await owner.say(acknowledged=[found.execution_id])
            parents.append(found.commit or "")
        await owner.dispatch(task_request(dispatch_id="c", task_id="c", writable=["c.txt"], parents=parents))
        await until(lambda: len(seen) == 3)
    assert dict(seen[2].files) == {"a.txt": b"a", "b.txt": b"b"}
    assert dict(seen[2].authors) == {"a.txt": "coder", "b.txt": "coder"}


async def test_parents_that_contradict_each_other_fail_for_good(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    @agent(role="coder")
    class Same:
        async def run(self, task: Task) -> AgentResult:
            return AgentResult(files={"same.txt": task.item.task_id})

    async with running(worker(bus, store, Same)):
        parents = []
        for name in ("a", "b"):
            await owner.dispatch(task_request(dispatch_id=name, task_id=name, writable=["same.txt"]))
            found = await owner.outcome()
            await owner.say(acknowledged=[found.execution_id])
            parents.append(found.commit or "")
        await owner.dispatch(task_request(dispatch_id="c", task_id="c", parents=parents))
        last = await owner.outcome()
    assert last.error is not None
    assert (last.error.code, last.error.retryable) == ("merge_conflict", False)


async def test_i4_an_attempt_that_crashed_after_its_answer_does_not_ask_again(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    model = ScriptedModel("x = 1\n")
    gate = Gate()

    @agent(role="coder")
    class AsksThenWaits:
        async def run(self, task: Task) -> AgentResult:
            text = await task.ask("Write it")
            gate.entered.append(task.request.dispatch_id)
            await gate.open.wait()
            return AgentResult(files={"out.py": text})

    made = worker(bus, store, AsksThenWaits, model=model, grace_seconds=0)
    async with running(made):
        await owner.dispatch(task_request(writable=["out.py"]))
        await until(lambda: len(gate.entered) == 1)
    assert owner.left[0].handed_back == ("d1",)
    gate.open.set()
    async with running(worker(bus, store, AsksThenWaits, model=model)):
        await owner.dispatch(task_request(writable=["out.py"]))
        found = await owner.outcome()
    assert found.status == "succeeded"
    assert found.usage.model_calls == 0
    assert len(model.requests) == 1


async def test_it_counts_what_it_did(bus: MemoryBus, owner: Owner, store: GitArtifactStore) -> None:
    registry = CollectorRegistry()
    made = worker(bus, store, Writer, model=ScriptedModel("x"), metrics=WorkerMetrics(registry))
    async with running(made):
        await owner.dispatch(task_request(writable=["out.py", "old.py"]))
        await owner.outcome()
        await owner.dispatch_raw(b"dead")
        await owner.outcomes(1, Channels.DEAD_LETTERS)
    labels = {"role": "coder", "status": "succeeded"}
    assert registry.get_sample_value("multi_agent_task_outcomes_total", labels) == 1
    assert registry.get_sample_value("multi_agent_dead_messages_total") == 1
    tokens = {"role": "coder", "kind": "input"}
    assert registry.get_sample_value("multi_agent_model_tokens_total", tokens) == 10


def test_what_an_execution_cost_and_found_is_counted_by_role() -> None:
    registry = CollectorRegistry()
    review = ReviewSummary(approved=False, findings=(ReviewFinding(severity="critical", message="eval"),))
    outcome = TaskOutcome(
        dispatch_id="d",
        execution_id="e",
        worker_id="w",
        status="succeeded",
        verdict="failed",
        review=review,
        tests=TestSummary(coverage_percent=83.0),
        usage=Usage(model_calls=2, cost_usd=0.5),
    )
    WorkerMetrics(registry).finished("reviewer", outcome)
    value, role = registry.get_sample_value, {"role": "reviewer"}
    assert value("multi_agent_model_calls_total", role) == 2
    assert value("multi_agent_model_cost_dollars_total", role) == 0.5
    assert value("multi_agent_verdicts_total", {**role, "verdict": "failed"}) == 1
    assert value("multi_agent_review_findings_total", {**role, "severity": "critical"}) == 1
    assert value("multi_agent_coverage_percent_sum", role) == 83
