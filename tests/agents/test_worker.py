"""The worker loop over the bus in memory and a real Git store."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from agents import AgentResult, Task, agent
from agents.metrics import WorkerMetrics
from artifacts import GitArtifactStore
from contracts.channels import Channels
from contracts.errors import (
    AgentFailure,
    ModelRejected,
    ModelUnavailable,
    ReplayMiss,
    SandboxUnavailable,
    StoreUnavailable,
    UnsafePath,
)
from contracts.events import EventType, TestSummary, encode
from contracts.memory_bus import MemoryBroker, MemoryBus
from tests.agents.owner import RESULTS, Owner, running, until, worker
from tests.agents.support import CREATED_AT, ScriptedModel, request_event, task_request

CODER = "agent.requests.coder"


class Gate:
    """Where executions wait until a test lets them go on."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.ended: list[str] = []
        self.open = asyncio.Event()

    def agent(self) -> type:
        gate = self

        @agent(role="coder")
        class Waiting:
            async def run(self, task: Task) -> AgentResult:
                gate.entered.append(task.request.dispatch_id)
                try:
                    await gate.open.wait()
                finally:
                    gate.ended.append(task.request.dispatch_id)
                return AgentResult(files={}, summary="done")

        return Waiting


def failing(error: BaseException) -> type:
    @agent(role="coder")
    class Failing:
        async def run(self, task: Task) -> AgentResult:
            raise error

    return Failing


@agent(role="coder", version="3.2")
class Writer:
    async def run(self, task: Task) -> AgentResult:
        text = await task.ask("Write it")
        return AgentResult(
            files={"out.py": text, "old.py": None},
            verdict="passed",
            summary="written",
            tests=TestSummary(passed=2, failed=0),
            backend="none",
        )


@agent(role="coder")
class Quick:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult(files={}, summary="quick")


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
    assert event.traceparent == cause.traceparent
    outcome = event.data
    assert (outcome.status, outcome.verdict, outcome.summary) == ("succeeded", "passed", "written")
    assert outcome.tests == TestSummary(passed=2, failed=0)
    assert outcome.usage.model_calls == 1
    tree = await store.read_tree(outcome.commit)
    assert tree["out.py"] == b"x = 1\n"
    assert b'"agent_version": "3.2"' in tree[".multi-agent/tasks/t1.json"]
    assert b'"timestamp": "2025-06-15T15:06:40Z"' in tree[".multi-agent/tasks/t1.json"]
    assert CREATED_AT == 1_750_000_000


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


async def test_it_announces_itself_before_it_reads_and_lists_what_it_holds(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    await owner.dispatch(*(task_request(dispatch_id=f"d{n}", task_id=f"t{n}") for n in range(3)))
    async with running(worker(bus, store, gate.agent(), slots=2)):
        await until(lambda: len(gate.entered) == 2 and len(owner.heartbeats) > 2)
        first = owner.heartbeats[0]
        assert (first.sequence, first.executions) == (0, ())
        assert (first.roles, first.streams, first.slots) == (("coder",), (CODER,), 2)
        await until(lambda: len(owner.heartbeats[-1].executions) == 2)
        held = owner.heartbeats[-1].executions
        assert [(each.dispatch_id, each.started) for each in held] == [("d0", True), ("d1", True)]
        assert len(await owner.unacknowledged()) == 2
        gate.open.set()
        await owner.outcomes(3)


async def test_what_is_read_beyond_the_slots_waits_and_is_listed(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    tagged = gate.agent()
    agent(role="coder", tags=("rust",))(tagged)
    rust = Channels.requests("coder", "rust")
    await owner.serve(rust)
    await owner.dispatch(task_request(dispatch_id="d0"))
    payload = encode(request_event(task_request(dispatch_id="d1", task_id="t1", required_tag="rust")))
    await owner.dispatch_raw(payload, stream=rust)
    async with running(worker(bus, store, tagged, slots=1)):
        await until(lambda: bool(owner.heartbeats) and len(owner.heartbeats[-1].executions) == 2)
        started = {each.dispatch_id: each.started for each in owner.heartbeats[-1].executions}
        assert sorted(started.values()) == [False, True]
        assert len(gate.entered) == 1
        gate.open.set()
        await owner.outcomes(2)


async def test_a_missing_group_is_announced_and_waited_for(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, broker: MemoryBroker
) -> None:
    async with running(worker(bus, store, Quick, heartbeat_seconds=60)):
        await until(lambda: len(owner.heartbeats) == 1)
        broker.lose_memory()
        await until(lambda: len(owner.heartbeats) == 2)
        await owner.serve(CODER)
        await bus.ensure_group(RESULTS, Channels.OWNERS_GROUP)
        await owner.dispatch(task_request())
        assert (await owner.outcome()).status == "succeeded"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\x00 no event", "no event of ours"),
        (b'{"type":"multiagent.task.requested"}', "does not fit its schema"),
        (encode(request_event(task_request(role="painter"))), "no agent here"),
        (encode(request_event(task_request()).model_copy(update={"taskid": "other"})), "does not say"),
    ],
)
async def test_i7_what_cannot_be_understood_is_dead_lettered_and_stops_nobody(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, payload: bytes, reason: str
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch_raw(payload)
        await owner.dispatch(task_request())
        assert (await owner.outcome()).status == "succeeded"
        [dead] = await owner.outcomes(1, Channels.DEAD_LETTERS)
        await owner.settled()
    assert base64.b64decode(dead.data.raw_base64) == payload
    assert dead.data.stream == CODER
    assert reason in dead.data.reason


async def test_an_event_that_is_no_request_is_dead_lettered(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch(task_request())
        [event] = await owner.outcomes(1)
        await owner.dispatch_raw(encode(event))
        [dead] = await owner.outcomes(1, Channels.DEAD_LETTERS)
    assert "a request was expected" in dead.data.reason


async def test_i2_a_duplicate_of_what_is_held_runs_once(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent())):
        await owner.dispatch(task_request(), task_request())
        await until(lambda: bool(gate.entered))
        await owner.left_in(CODER, 1)
        gate.open.set()
        await owner.outcome()
        await owner.settled()
    assert gate.entered == ["d1"]


async def test_i2_a_duplicate_of_what_is_finished_repeats_its_outcome(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    gate.open.set()
    async with running(worker(bus, store, gate.agent(), resend_seconds=600)):
        await owner.dispatch(task_request())
        first = await owner.outcome()
        await owner.dispatch(task_request())
        assert await owner.outcome() == first
        await owner.settled()
    assert gate.entered == ["d1"]


async def test_an_outcome_is_sent_until_it_is_acknowledged(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, Quick)):
        await owner.dispatch(task_request(dispatch_id="d1"))
        found = await owner.outcomes(3)
        assert len({event.data.execution_id for event in found}) == 1
        await owner.say(acknowledged=[found[0].data.execution_id])
        await owner.dispatch(task_request(dispatch_id="d2"))
        await _heard_of(owner, "d2")
        assert {(await owner.outcome()).dispatch_id for _ in range(3)} == {"d2"}


async def _heard_of(owner: Owner, dispatch_id: str) -> None:
    async with asyncio.timeout(10):
        while (await owner.outcome()).dispatch_id != dispatch_id:
            pass


async def test_a_recalled_execution_ends_without_an_outcome(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent(), slots=1)):
        await owner.dispatch(task_request(dispatch_id="d1"), task_request(dispatch_id="d2"))
        await until(lambda: gate.entered == ["d1"])
        await owner.say(recalled=["d1"])
        await until(lambda: gate.ended == ["d1"] and gate.entered == ["d1", "d2"])
        gate.open.set()
        assert (await owner.outcome()).dispatch_id == "d2"
        await owner.settled()


async def test_a_recalled_outcome_is_sent_no_more(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, broker: MemoryBroker
) -> None:
    made = worker(bus, store, Quick, resend_seconds=0.02)
    async with running(made):
        await owner.dispatch(task_request(dispatch_id="d1"))
        await owner.outcome()
        await owner.say(recalled=["d1"])
        await owner.dispatch(task_request(dispatch_id="d2"))
        await _heard_of(owner, "d2")
        assert {(await owner.outcome()).dispatch_id for _ in range(3)} == {"d2"}


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
