"""The largest texts that a stranger can send: refused or read within bounds, and no event loop held up."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from agents import Task, agent
from agents.roles.coder import CoderAgent
from agents.roles.context import find_contract
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree, read_base
from agents.sdk.result import AgentResult
from artifacts import GitArtifactStore
from contracts.base.errors import AgentFailure
from contracts.base.model import Document
from contracts.bus.memory_bus import MemoryBus
from contracts.documents.reports import TestReport
from contracts.messages.payloads import TaskOutcome
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult, Verdict
from tests.agents.owner import Owner, running, until, worker
from tests.agents.support import ScriptedModel, ScriptedSandbox, TaskMaker, code, contract, task_request
from tests.support.loop_gap import never_held_up

FILE_BYTES = 1_950_000
ANSWER_BYTES = 3_900_000


def _filled(text: str, size: int = FILE_BYTES) -> str:
    return text * (size // len(text))


NESTED = "x = " + "(" * 90 + "1" + ")" * 90 + "\n"
SMALLER = 400_000
SOURCES = {
    "commas": _filled("1,", 700_000),
    "semicolons": _filled("a;"),
    "lines": _filled("x=1\n", SMALLER),
    "operators": _filled("a+", SMALLER) + "a",
    "minus signs": _filled("-") + "1",
    "nested": _filled(NESTED, SMALLER),
}
ANSWERS = {
    "empty objects": '{"summary": "s", "files": [' + "{}," * 400_000 + "{}]}",
    "a long list": "[" + "1," * (ANSWER_BYTES // 2 - 10) + "1]",
    "unknown fields": "{" + ",".join(f'"k{number}":1' for number in range(ANSWER_BYTES // 12)) + "}",
    "prose": "[1] " * (ANSWER_BYTES // 4),
    "braces": '{"a": ' * (ANSWER_BYTES // 6),
    "quotes": '{"' + '\\"' * (ANSWER_BYTES // 2 - 10),
    "too much": "x" * 8_000_000,
}


async def _coded(answer: str) -> tuple[AgentResult, str]:
    """The result of a coder whose first answer it is, and what the model was told about it."""
    model = ScriptedModel(answer, code(one="x = 1\n", two="y = 1\n"))
    task = TaskMaker(model)(writable=["one.py", "two.py"])
    async with never_held_up():
        result = await CoderAgent().run(task)
    told = model.requests[1].messages[-1].text if len(model.requests) > 1 else ""
    assert all(len(turn.text) < 300_000 for request in model.requests for turn in request.messages)
    return result, told


@pytest.mark.parametrize("name", SOURCES)
async def test_large_code_is_refused_in_words_or_right(name: str) -> None:
    result, told = await _coded(code(one=SOURCES[name], two=SOURCES[name]))
    if told:
        refusals = ("to check; answer with less", "to be read as Python", "is not valid Python")
        assert any(refusal in told for refusal in refusals), told
        assert result.files == {"one.py": "x = 1\n", "two.py": "y = 1\n"}
    else:
        assert result.files == {"one.py": SOURCES[name], "two.py": SOURCES[name]}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_large_answer_that_is_none_goes_back(name: str) -> None:
    result, told = await _coded(ANSWERS[name])
    assert "The answer cannot be used" in told
    assert len(told) < 10_000
    assert sorted(result.files) == ["one.py", "two.py"]


async def test_large_code_that_is_right_is_taken() -> None:
    text = "".join(f"def f{number}(a, b):\n    return a + b * {number}\n\n\n" for number in range(5_000))
    result, told = await _coded(code(one=text, two="y = 1\n"))
    assert told == ""
    assert result.files["one.py"] == text


async def test_a_class_that_no_other_process_can_import_is_read_here() -> None:
    class Note(Document):
        text: str

    task = TaskMaker(ScriptedModel(json.dumps({"text": "a" * 100_000})))()
    assert len((await task.ask_document(Note, "Write")).text) == 100_000


def _report(event: dict[str, object], count: int) -> Callable[[SandboxRequest], SandboxResult]:
    def ended(request: SandboxRequest) -> SandboxResult:
        nonce = json.loads(request.stdin)["nonce"]
        events = ((json.dumps(event) + ",") * count)[:-1]
        raw = f'{{"nonce": "{nonce}", "runs": [{{"exit_code": 1, "events": [{events}]}}]}}'
        return SandboxResult(
            Verdict.OK, 0, zlib.compress(raw.encode()), b"", {}, 1.0, "test", Isolation.NAMESPACES
        )

    return ended


class AnsweringSandbox(ScriptedSandbox):
    """Answers each request with what a function makes of it, beside the loop."""

    def __init__(self, answer: Callable[[SandboxRequest], SandboxResult]) -> None:
        super().__init__()
        self._answer = answer

    async def run(self, request: SandboxRequest) -> SandboxResult:
        return await asyncio.to_thread(self._answer, request)


def _tests(sandbox: ScriptedSandbox, **files: str) -> Task:
    base = BaseTree({f"tests/{name}.py": text.encode() for name, text in files.items()})
    criteria = {"tests": [{"cmd": "pytest tests"}]}
    return TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)


@pytest.mark.parametrize(
    ("event", "count"),
    [
        ({}, 10_000_000),
        ({"kind": "test", "id": "a", "when": "call", "outcome": "failed", "message": "a@" * 400_000}, 40),
        ({"kind": "test", "id": "a", "when": "call", "outcome": "failed"}, 300_000),
    ],
)
async def test_a_large_report_is_a_verdict(event: dict[str, object], count: int) -> None:
    task = _tests(AnsweringSandbox(_report(event, count)), test_a="def test_a(): ...\n")
    async with never_held_up():
        result = await TesterAgent().run(task)
    assert result.verdict == "failed"
    assert isinstance(result.report, TestReport)
    assert result.report.results


async def test_large_tests_are_read_beside_the_loop_or_refused() -> None:
    many = _filled("def test_a():\n assert 1\n", 3_900_000)
    async with never_held_up():
        with pytest.raises(AgentFailure, match="the source of the tests takes longer than 5 s to check"):
            await TesterAgent().run(_tests(ScriptedSandbox(), test_a=many, test_b=many))


async def test_a_large_file_that_is_no_contract_is_none() -> None:
    base = BaseTree({"contract.json": ANSWERS["empty objects"].encode(), "b.json": contract().encode()})
    task = TaskMaker()(base=base, input_artifacts=["contract.json", "b.json"])
    async with never_held_up():
        found = await find_contract(task)
    assert found is not None
    assert found.contract_id == "sma"


class OnlyRecords:
    """The part of an artifact store that gives an empty tree, and metadata."""

    def __init__(self, records: dict[str, bytes]) -> None:
        self._records = records

    async def merge(self, *_args: object, **_options: object) -> str:
        return "0" * 40

    async def open_tree(self, *_args: object) -> dict[str, bytes]:
        return {}

    async def read_records(self, *_args: object) -> dict[str, bytes]:
        return self._records


async def test_large_records_of_tasks_are_read_beside_the_loop() -> None:
    metadata = {
        "workflow_id": "w",
        "task_id": "t",
        "correlation_id": "c",
        "agent_role": "coder",
        "agent_version": "1",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    honest = {**metadata, "report": {"results": [{"test_id": "t", "message": "m" * 300}] * 10_000}}
    hostile = {**metadata, "task_id": "u", "report": {"results": [{}] * 1_000_000}}
    records = {"t": json.dumps(honest).encode(), "u": json.dumps(hostile).encode()}
    request = task_request(parents=["1" * 40])
    async with never_held_up():
        store: Any = OnlyRecords(records)  # all that is asked of it
        base = await read_base("w", request, store)
    assert list(base.reports) == ["t"]


@agent(role="coder")
class ManyPaths:
    """Writes many files whose paths are as long as they may be."""

    async def run(self, task: Task) -> AgentResult:
        return AgentResult(files={f"out/{number}/" + "\u00e9/" * 90 + "a": "" for number in range(1_500)})


async def test_many_long_paths_are_checked_beside_the_loop(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    async with running(worker(bus, store, ManyPaths, resend_seconds=600)), never_held_up():
        await owner.dispatch(task_request(writable=["out/"]))
        outcome = await owner.outcome()
    assert outcome.status == "succeeded", outcome.error


HOSTILE = code(one=SOURCES["semicolons"])


class ByTask(ScriptedModel):
    """Answers the first request of one task with a hostile answer, and all others with a small one."""

    async def complete(self, request: ModelRequest) -> ModelResponse:
        hostile = "one.py" in request.messages[0].text
        small = code(one="x = 1\n") if hostile else code(two="x = 1\n")
        text = HOSTILE if hostile and len(request.messages) == 1 else small
        return ModelResponse(text, "by-task", input_tokens=1, output_tokens=1, cost_usd=0.0)


async def test_a_worker_goes_on_beside_large_answers(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    made = worker(bus, store, CoderAgent, model=ByTask(), slots=2, heartbeat_seconds=0.1, resend_seconds=600)
    hostile = task_request(dispatch_id="d1", task_id="t1", writable=["one.py"])
    innocent = [task_request(dispatch_id=f"d{n}", task_id=f"t{n}", writable=["two.py"]) for n in range(2, 6)]
    found: list[TaskOutcome] = []
    async with running(made), never_held_up():
        await owner.dispatch(hostile, *innocent)
        async with asyncio.timeout(120):
            while len(found) < 5:
                with suppress(TimeoutError):
                    found.append(await owner.outcome())
        heard = len(owner.heartbeats)
        await until(lambda: len(owner.heartbeats) > heard)
    assert {outcome.status for outcome in found} == {"succeeded"}
    assert found[-1].dispatch_id == "d1", "the others did not wait for it"
    assert found[-1].usage.model_calls == 2
