"""What failed before the work is named, and is no reason to call the work wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.roles.coder import CoderAgent
from agents.roles.context import failed_before
from agents.roles.debugger import DebuggerAgent
from agents.roles.reviewer import ReviewerAgent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.baselines import load_baseline, save_baseline
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.baseline.excused import excused
from artifacts import GitArtifactStore
from contracts.documents.baseline import Baseline
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit
from contracts.ports.sandbox import Isolation, Sandbox, SandboxRequest, SandboxResult
from tests.agents.support import CREATED_AT, ExchangesInMemory, ScriptedModel, TaskMaker, code, task_request

IMPORT = "from app import double\n\n"
OLD = IMPORT + "def test_ok():\n    assert double(2) == 4\n\ndef test_bad():\n    assert 0, 'old'\n"
NEW = IMPORT + "def test_more():\n    assert double(3) == 6\n"
BOTH = "pytest tests/test_old.py::test_ok tests/test_old.py::test_bad"
BAD = {"test": "tests/test_old.py::test_bad", "error": "AssertionError: old"}
MORE = "tests/test_new.py::test_more"
RIGHT, WRONG = "def double(x):\n    return 2 * x\n", "def double(x):\n    return 4\n"
START = {"app.py": RIGHT, "tests/test_old.py": OLD}


class Counting:
    """A sandbox that counts what runs in another."""

    def __init__(self, inner: Sandbox) -> None:
        self._inner = inner
        self.runs = 0

    @property
    def backend(self) -> str:
        return self._inner.backend

    @property
    def isolation(self) -> Isolation:
        return self._inner.isolation

    async def run(self, request: SandboxRequest) -> SandboxResult:
        self.runs += 1
        return await self._inner.run(request)

    async def close(self) -> None:
        return None


def _baseline(**fields: object) -> Baseline:
    known = {"tree": "a" * 40, "environment": "b" * 64, "command": "python -m pytest", "state": "ran"}
    counts = {"counted": True, "found": 2, "passed": 1, "failed": 1, "failing": (BAD,)}
    return Baseline.model_validate({**known, **counts, **fields})


async def _task(
    sandbox: Sandbox, store: GitArtifactStore, baseline: Baseline, files: dict[str, str], **fields: Any
) -> Task:
    metadata = ArtifactMetadata(
        workflow_id="w1",
        task_id="start",
        correlation_id="w1",
        agent_role="coder",
        agent_version="1",
        timestamp="2025-06-15T12:00:00Z",
    )
    start = {path: text.encode() for path, text in START.items()}
    pending = PendingCommit("w1", "start", 1, "e1", (), start, metadata, "start", CREATED_AT)
    [commit] = await store.write([pending])
    await save_baseline(store, "w1", baseline)
    tree = BaseTree({path: text.encode() for path, text in (START | files).items()})
    made = TaskMaker(sandbox=sandbox)(base=tree, role="tester", cycle=1, **fields)
    request = made.request.model_copy(update={"base_commit": commit})
    return replace(made, request=request, commits=store)


async def _run(
    sandbox: Sandbox, store: GitArtifactStore, files: dict[str, str], **fields: Any
) -> AgentResult:
    baseline = _baseline(**fields.pop("baseline", {}))
    criteria = {"tests": [{"cmd": fields.pop("cmd", "pytest tests")}]}
    task = await _task(sandbox, store, baseline, files, acceptance_criteria=criteria, **fields)
    return await TesterAgent().run(task)


async def test_what_failed_before_is_no_reason_to_fail(sandbox: Sandbox, store: GitArtifactStore) -> None:
    result = await _run(sandbox, store, {"tests/test_new.py": NEW})
    assert result.verdict == "passed"
    assert result.summary == "2 passed, 1 failed, all of which failed before this work"
    assert result.tests is not None
    assert (result.tests.passed, result.tests.failed, result.tests.failure) == (2, 1, None)


REASONS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "what passed fails now": (
        {"app.py": WRONG, "tests/test_new.py": NEW},
        {},
        "tests/test_new.py::test_more",
    ),
    "its file is another": ({"tests/test_old.py": OLD + "\n# seen\n"}, {}, BAD["test"]),
    "the task is to mend it": ({}, {"description": "Mend test_bad."}, BAD["test"]),
    "a command names it": (
        {},
        {"cmd": BOTH},
        BAD["test"],
    ),
    "nothing else ran": ({}, {"cmd": "pytest tests/test_old.py -k bad"}, BAD["test"]),
}


@pytest.mark.parametrize("name", REASONS)
async def test_it_is_none_only_as_long_as_it_is_that(
    name: str, sandbox: Sandbox, store: GitArtifactStore
) -> None:
    files, fields, test = REASONS[name]
    result = await _run(sandbox, store, files, **fields)
    assert result.verdict == "failed"
    assert result.tests is not None
    assert result.tests.failure is not None
    if name == "nothing else ran":
        assert result.tests.failure.kind == "not_verified"
    else:
        assert result.tests.failure.test == test


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("Make it faster", {BAD["test"], "tests/test_old.py::T::test_p[bad]"}),
        ("tests/test_old.py is red", set()),
        ("test_bad is red", {"tests/test_old.py::T::test_p[bad]"}),
        ("test_p and test_badly", {BAD["test"]}),
    ],
)
def test_whoever_names_a_test_or_its_file_wants_it_mended(said: str, names: set[str]) -> None:
    more = {"test": "tests/test_old.py::T::test_p[bad]"}
    gone = {"test": "tests/test_gone.py::test_x"}
    request = task_request(role="tester").model_copy(update={"request": said})
    files = {path: text.encode() for path, text in START.items()}
    baseline = _baseline(failing=(BAD, more, gone), failed=3)
    assert excused(baseline, request, files, files) == names
    assert excused(None, request, files, files) == frozenset()


@pytest.mark.parametrize(
    ("fields", "files", "runs", "on_base"),
    [
        ({"description": "Mend test_bad."}, {}, 1, True),
        ({}, {"app.py": WRONG.replace("4", "5")}, 1, False),
        ({"baseline": {"not_loaded": 1}}, {"app.py": WRONG.replace("4", "5")}, 2, False),
        ({"baseline": {"state": "timeout"}}, {"app.py": WRONG.replace("4", "5")}, 2, False),
    ],
)
async def test_where_the_baseline_knows_the_base_is_not_run_again(
    sandbox: Sandbox,
    store: GitArtifactStore,
    fields: dict[str, Any],
    files: dict[str, str],
    runs: int,
    on_base: bool,
) -> None:
    counting = Counting(sandbox)
    result = await _run(counting, store, files, **fields)
    assert result.tests is not None
    assert result.tests.failure is not None
    # The work's tests run apart from the code, and one that fails by itself; the base's together alone.
    assert (counting.runs, result.tests.failure.on_base) == (runs + 1, on_base)


REPORT = {
    "passed": False,
    "results": [
        {"test_id": BAD["test"], "outcome": "failed", "message": "old"},
        {"test_id": MORE, "outcome": "failed", "message": "assert 4 == 6"},
    ],
    "backend": "bubblewrap",
    "isolation": "namespaces",
}
REVIEW = '{"approved": true, "summary": "good", "findings": []}'


@pytest.mark.parametrize(
    ("agent", "answer", "told"),
    [
        (TesterAgent, code(tests__test_new=NEW), True),
        (DebuggerAgent, code(app=RIGHT), True),
        (ReviewerAgent, REVIEW, True),
        (CoderAgent, code(app=RIGHT), False),
    ],
)
async def test_who_judges_tests_is_told_as_data(
    agent: type, answer: str, told: bool, sandbox: Sandbox, store: GitArtifactStore
) -> None:
    fields = {"writable": ("app.py", "tests/"), "acceptance_criteria": {"tests": [{"cmd": "pytest tests"}]}}
    task = await _task(sandbox, store, _baseline(), {}, **fields)
    model = ScriptedModel(answer)
    reports = {"t0": REPORT} if agent is DebuggerAgent else {}
    made = TaskMaker(model)(base=replace(task.base, reports=reports), cycle=0, **fields)
    task = replace(
        task, request=task.request.model_copy(update={"cycle": 0}), exchanges=made.exchanges, base=made.base
    )
    await agent().run(task)
    prompt = model.requests[0].messages[0].text
    before = prompt.partition("## Failed before this work")[2].partition("\n## ")[0]
    assert (f"```\n{BAD['test']}: AssertionError: old\n```" in before) is told
    if agent is DebuggerAgent:
        failed = prompt.partition("## What failed")[2].partition("\n## ")[0]
        assert "test_more" in failed
        assert "test_bad" not in failed, "nobody is asked to mend it"


@pytest.mark.parametrize("state", ["ran", "timeout"])
async def test_a_baseline_that_was_cut_off_says_so(
    sandbox: Sandbox, store: GitArtifactStore, state: str
) -> None:
    [said] = await failed_before(await _task(sandbox, store, _baseline(state=state), {}))
    assert ("time was up before all tests ran" in said) == (state == "timeout")


async def test_a_baseline_is_kept_with_its_workflow(store: GitArtifactStore) -> None:
    assert await load_baseline(store, "w1") is None
    await save_baseline(store, "w1", _baseline())
    assert await load_baseline(store, "w1") == _baseline()
    assert await load_baseline(store, "w2") is None
    damaged = ExchangesInMemory()
    await save_baseline(damaged, "w1", _baseline())
    damaged.kept = dict.fromkeys(damaged.kept, b"{}")
    assert await load_baseline(damaged, "w1") is None
