"""The agents that ship, with a scripted model."""

from __future__ import annotations

import json

import pytest

from agents.roles.architect import ArchitectAgent
from agents.roles.coder import CoderAgent
from agents.roles.debugger import DebuggerAgent
from agents.roles.reviewer import ReviewerAgent
from agents.sdk.base_tree import BaseTree
from contracts.base.errors import AgentFailure
from contracts.documents.reports import BuildReport, CodeArtifacts, CommandRun, Contract, TestCase, TestReport
from contracts.ports.sandbox import Isolation, SandboxResult, Verdict
from contracts.schema.registry import load_schema
from tests.agents.support import ScriptedModel, ScriptedSandbox, TaskMaker, code, contract

FAILING = TestReport(
    passed=False,
    results=(
        TestCase(test_id="tests/test_a.py::test_two", outcome="failed", message="assert 6 == 4"),
        TestCase(test_id="tests/test_a.py::test_one", outcome="passed"),
    ),
    runs=(CommandRun(cmd="pytest", verdict="failed", exit_code=1),),
)


def _ended(exit_code: int, stderr: bytes = b"") -> SandboxResult:
    verdict = Verdict.OK if exit_code == 0 else Verdict.FAILED
    return SandboxResult(verdict, exit_code, b"", stderr, {}, 0.1, "scripted", Isolation.CONTAINER)


async def test_the_architect_writes_its_contract_to_its_output() -> None:
    model = ScriptedModel(contract("test_a"))
    task = TaskMaker(model)(role="architect", writable=["docs/", "docs/api.json"], description="Average")
    result = await ArchitectAgent().run(task)
    written = result.files["docs/api.json"]
    assert isinstance(written, str)
    assert Contract.model_validate_json(written) == result.report
    request = model.requests[0]
    assert request.response_schema == load_schema("contract")
    assert '"urn:multi-agent:contract:1.0"' in request.system
    assert "Average" in request.messages[0].text


async def test_the_architects_default_path_must_be_writable() -> None:
    with pytest.raises(AgentFailure, match=r"contract\.json") as caught:
        await ArchitectAgent().run(TaskMaker()(role="architect", writable=["docs/"]))
    assert caught.value.code == "path_not_allowed"


async def test_the_coder_gets_contract_and_files_and_gives_code() -> None:
    model = ScriptedModel(code(app__calc="x = 1\n"))
    base = BaseTree(
        {"app/calc.py": b"# as it was\n", "notes.bin": b"\xff\xfe"},
        {"plan": json.loads(contract("test_a"))},
    )
    result = await CoderAgent().run(TaskMaker(model)(base=base, writable=["app/calc.py"]))
    assert result.files == {"app/calc.py": "x = 1\n"}
    text = model.requests[0].messages[0].text
    assert '"contract_id": "sma"' in text
    assert "# as it was" in text


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (code(other="x = 1\n"), "path 'other.py' is not one this task may write; it may write: app.py"),
        (code(app="def broken(:\n"), "file 'app.py': line 1 is not valid Python"),
        (code(app="x = '\0'\n"), "file 'app.py'"),
        (
            json.dumps({"summary": "s", "files": [{"path": "app.py", "content": "x"}] * 2}),
            "appears more than once",
        ),
    ],
)
async def test_the_coders_mistakes_go_back_to_the_model(bad: str, told: str) -> None:
    model = ScriptedModel(bad, code(app="x = 1\n"))
    result = await CoderAgent().run(TaskMaker(model)(writable=["app.py"]))
    assert result.files == {"app.py": "x = 1\n"}
    assert told in model.requests[1].messages[-1].text


async def test_the_coder_is_told_of_files_it_left_out() -> None:
    model = ScriptedModel(code(one="x = 1\n"), code(one="x = 1\n", two="y = 2\n"))
    result = await CoderAgent().run(TaskMaker(model)(writable=["one.py", "two.py"]))
    assert sorted(result.files) == ["one.py", "two.py"]
    assert "file 'two.py' is missing" in model.requests[1].messages[-1].text


async def test_a_path_refused_three_times_fails_with_its_code() -> None:
    model = ScriptedModel(*[code(other="x = 1\n")] * 3)
    with pytest.raises(AgentFailure) as caught:
        await CoderAgent().run(TaskMaker(model)(writable=["app.py"]))
    assert caught.value.code == "path_not_allowed"


async def test_the_coders_answer_is_never_executed_here(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "@print\ndef f(x=print('default')): ...\nprint('body')\n"
    await CoderAgent().run(TaskMaker(ScriptedModel(code(app=hostile)))(writable=["app.py"]))
    assert capsys.readouterr().out == ""


async def test_validation_commands_run_over_the_new_tree() -> None:
    rules = {"validation_rules": [{"type": "python_syntax"}, {"type": "command", "command": "python app.py"}]}
    failed = _ended(1, b"Traceback\nValueError: at 0x7f001122334455\n")
    sandbox = ScriptedSandbox(failed, _ended(0), *[failed] * 3)
    model = ScriptedModel(*[code(app="x = 1\n")] * 5)
    base = BaseTree({"b.py": b"1"})
    task = TaskMaker(model, sandbox)(base=base, writable=["app.py"], acceptance_criteria=rules)
    report = (await CoderAgent().run(task)).report
    assert isinstance(report, BuildReport)
    assert report.passed
    assert "'python app.py' failed: exit code 1: ValueError" in model.requests[1].messages[-1].text
    task = TaskMaker(model, sandbox)(base=base, writable=["app.py"], acceptance_criteria=rules)
    with pytest.raises(AgentFailure, match=r"'python app\.py' failed") as caught:
        await CoderAgent().run(task)
    assert str(caught.value).endswith("Traceback\nValueError:")
    assert caught.value.code == "validation_failed"
    assert sandbox.requests[0].argv == ("python", "app.py")
    assert dict(sandbox.requests[0].files) == {"app.py": b"x = 1\n", "b.py": b"1"}


async def test_the_debugger_sees_failures_code_and_tests_and_may_not_touch_tests() -> None:
    model = ScriptedModel(code(tests__test_a="def test_two(): ...\n"), code(app="x = 4\n"))
    base = BaseTree(
        {"app.py": b"x = 6\n", "tests/test_a.py": b"from app import x\n"},
        {"test": FAILING.model_dump(mode="json"), "plan": json.loads(contract())},
    )
    task = TaskMaker(model)(base=base, role="debugger", dependencies=["test"], writable=["app.py"])
    result = await DebuggerAgent().run(task)
    assert result.files == {"app.py": "x = 4\n"}
    text = model.requests[0].messages[0].text
    assert "tests/test_a.py::test_two (failed): assert 6 == 4" in text
    assert "test_one" not in text
    assert "x = 6" in text
    assert "from app import x" in text
    assert "'tests/test_a.py' is not one this task may write" in model.requests[1].messages[-1].text


async def test_the_debugger_needs_a_failing_report() -> None:
    passed = FAILING.model_copy(update={"passed": True}).model_dump(mode="json")
    task = TaskMaker()(base=BaseTree({}, {"test": passed}), role="debugger", dependencies=["test"])
    with pytest.raises(AgentFailure, match="no failing test report"):
        await DebuggerAgent().run(task)


@pytest.mark.parametrize(
    ("approved", "severity", "verdict"),
    [
        (True, "minor", "passed"),
        (False, "info", "failed"),
        (False, "major", "failed"),
        (True, "critical", "passed"),
        (False, "critical", "failed"),
    ],
)
async def test_the_reviewers_verdict(approved: bool, severity: str, verdict: str) -> None:
    review = {
        "approved": approved,
        "summary": "looked at it",
        "findings": [{"severity": severity, "path": "app.py", "message": "hm"}],
    }
    model = ScriptedModel(json.dumps(review))
    task = TaskMaker(model)(base=BaseTree({"app.py": b"x = 1\n"}), role="reviewer")
    result = await ReviewerAgent().run(task)
    assert result.verdict == verdict
    assert result.review is not None
    assert result.review.approved is approved
    assert [finding.sentence for finding in result.review.findings] == [f"{severity} (app.py): hm"]
    assert dict(result.files) == {}
    assert "x = 1" in model.requests[0].messages[0].text


FINDINGS = [{"severity": severity, "message": severity} for severity in ("info", "critical", "minor")]
REFUSED = {"approved": False, "summary": "nearly", "findings": FINDINGS}


async def test_a_review_is_carried_with_its_gravest_findings_first() -> None:
    many = {**REFUSED, "findings": [*FINDINGS, {"severity": "major", "message": "m" * 5_000}] * 9}
    result = await ReviewerAgent().run(TaskMaker(ScriptedModel(json.dumps(many)))(role="reviewer"))
    assert result.review is not None
    severities = [finding.severity for finding in result.review.findings]
    assert severities == ["critical"] * 9 + ["major"] * 9 + ["minor"] * 2
    assert max(len(finding.message) for finding in result.review.findings) == 1_000


async def test_the_debugger_is_told_what_the_review_does_not_accept() -> None:
    model = ScriptedModel(code(app="x = 4\n"))
    passed = FAILING.model_copy(update={"passed": True}).model_dump(mode="json")
    base = BaseTree({"app.py": b"x = 6\n"}, {"review": REFUSED, "test": passed})
    task = TaskMaker(model)(base=base, role="debugger", dependencies=["review"], writable=["app.py"])
    assert (await DebuggerAgent().run(task)).files == {"app.py": "x = 4\n"}
    text = model.requests[0].messages[0].text
    assert "What the review does not accept; no test failed" in text
    assert "nearly\n\n- info: info\n- critical: critical\n- minor: minor" in text


async def test_a_review_that_it_does_not_depend_on_is_not_its_task() -> None:
    base = BaseTree({"app.py": b"x = 6\n"}, {"another": REFUSED})
    task = TaskMaker()(base=base, role="debugger", dependencies=["review"], writable=["app.py"])
    with pytest.raises(AgentFailure, match="no failing test report"):
        await DebuggerAgent().run(task)


async def test_a_repeated_review_knows_what_was_found_before() -> None:
    base = BaseTree({"app.py": b"x = 6\n"}, {"review": REFUSED})
    for cycle in (0, 1):
        model = ScriptedModel(json.dumps({"approved": True, "summary": "good"}))
        await ReviewerAgent().run(TaskMaker(model)(base=base, role="reviewer", cycle=cycle))
        assert ("- critical: critical" in model.requests[0].messages[0].text) is bool(cycle)


async def test_the_same_task_gives_the_same_prompt() -> None:
    hashes = set()
    for _ in range(2):
        base = BaseTree({"b.py": b"2\n", "a.py": b"1\n"}, {"plan": json.loads(contract())})
        task = TaskMaker(ScriptedModel(code(app="x = 1\n")))(base=base, writable=["app.py"])
        answer = await CoderAgent().generate_code(task)
        assert isinstance(answer, CodeArtifacts)
        hashes.add(task.exchanges.prompt_hash)
    assert len(hashes) == 1


def test_a_name_that_cannot_be_seen_is_kept_and_never_made() -> None:
    task = TaskMaker()(base=BaseTree({"docs/\u2764\ufe0f.md": b""}), writable=["docs/"])
    assert task.check_writable("docs/\u2764\ufe0f.md") == "docs/\u2764\ufe0f.md"
    with pytest.raises(AgentFailure, match="U\\+FE0F cannot be seen") as caught:
        task.check_writable("docs/\u2713\ufe0f.md")
    assert caught.value.code == "path_not_allowed"
