"""The tester on a real sandbox: honest code, wrong code, and code that wants to look right."""

from __future__ import annotations

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from contracts.base.errors import AgentFailure, InvalidInput, SandboxUnavailable
from contracts.documents.reports import TestReport
from contracts.ports.sandbox import Isolation, Sandbox, SandboxResult, Verdict
from tests.agents.support import ScriptedModel, ScriptedSandbox, TaskMaker, code, contract

TEST = """
# In one process: this names a mock.
from app.calc import double

def test_two():
    assert double(2) == 4

def test_zero():
    assert double(0) == 0
"""
RIGHT = "def double(x):\n    return 2 * x\n\n\ndef unused():\n    return 1\n"
WRONG = "def double(x):\n    return 3 * x\n"
REWRITE = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome = "passed"
    report.longrepr = None
"""


@pytest.fixture
def sandbox(either_sandbox: Sandbox) -> Sandbox:
    return either_sandbox


async def _run(
    sandbox: Sandbox,
    files: dict[str, str],
    cmd: str = "pytest tests",
    authors: dict[str, str] | None = None,
    timeout_seconds: int = 60,
) -> AgentResult:
    tree = {"tests/test_calc.py": TEST, "app/__init__.py": "", **files}
    base = BaseTree({path: text.encode() for path, text in tree.items()}, {}, authors or {})
    criteria = {"tests": [{"cmd": cmd, "timeout_seconds": timeout_seconds}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    return await TesterAgent().run(task)


def _report(result: AgentResult) -> TestReport:
    assert isinstance(result.report, TestReport)
    return result.report


def _problems(result: AgentResult) -> str:
    return "; ".join(case.message for case in _report(result).results if case.outcome == "error")


async def test_right_code_passes_with_its_coverage(sandbox: Sandbox) -> None:
    result = await _run(sandbox, {"app/calc.py": RIGHT})
    report = _report(result)
    assert result.verdict == "passed"
    assert result.tests is not None
    assert (result.tests.passed, result.tests.failed) == (2, 0)
    assert [(case.test_id, case.outcome) for case in report.results] == [
        ("tests/test_calc.py::test_two", "passed"),
        ("tests/test_calc.py::test_zero", "passed"),
    ]
    # Of four lines, the body of `unused` is the one that did not run.
    assert report.coverage_percent == 75.0
    assert (report.backend, report.isolation) == (sandbox.backend, sandbox.isolation.value)
    assert report.runs[0].verdict == "ok"


@pytest.mark.parametrize("cmd", ["pytest", "pytest .", "python -m pytest -q", "pytest tests ."])
async def test_every_way_to_run_all_tests_is_verified(sandbox: Sandbox, cmd: str) -> None:
    result = await _run(sandbox, {"app/calc.py": RIGHT}, cmd)
    assert (result.verdict, _problems(result)) == ("passed", "")
    assert [case.test_id for case in _report(result).results] == [
        "tests/test_calc.py::test_two",
        "tests/test_calc.py::test_zero",
    ]


async def test_the_same_work_gives_the_same_report(sandbox: Sandbox) -> None:
    reports = [_report(await _run(sandbox, {"app/calc.py": WRONG})) for _ in range(2)]
    assert reports[0] == reports[1]


async def test_wrong_code_fails_with_a_normalised_message(sandbox: Sandbox) -> None:
    result = await _run(sandbox, {"app/calc.py": WRONG})
    assert result.verdict == "failed"
    failed = [case for case in _report(result).results if case.outcome == "failed"]
    assert [(case.test_id, case.message) for case in failed] == [
        ("tests/test_calc.py::test_two", "assert 6 == 4")
    ]


async def test_a_file_that_cannot_be_imported_is_an_error_of_its_tests(sandbox: Sandbox) -> None:
    result = await _run(sandbox, {"app/calc.py": "import nothing_like_this\n"})
    assert result.verdict == "failed"
    assert "No module named 'nothing_like_this'" in _problems(result)


TAMPERING = {
    "exit on import": ({"app/calc.py": "import os\nos._exit(0)\n"}, "ended"),
    "exit in the call": ({"app/calc.py": "import os\ndef double(x):\n    os._exit(0)\n"}, "ended"),
    "kills the harness": (
        {"app/calc.py": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\ndouble = abs\n"},
        "ended",
    ),
    "rewrites outcomes": (
        {
            "app/calc.py": WRONG
            + "import _pytest.runner\n"
            + "real = _pytest.runner.TestReport.from_item_and_call\n"
            + "def fake(item, call):\n"
            + "    call.excinfo = None\n"
            + "    return real(item, call)\n"
            + "_pytest.runner.TestReport.from_item_and_call = staticmethod(fake)\n"
            + "import _pytest.reports\n"
            + "_pytest.reports.TestReport.from_item_and_call = staticmethod(fake)\n"
        },
        "must fail",
    ),
    "skips what runs": (
        {
            "app/calc.py": WRONG
            + "import _pytest.python\n"
            + "_pytest.python.Function.runtest = lambda self: None\n"
        },
        "must fail",
    ),
    "all skipped": (
        {
            "app/calc.py": WRONG,
            "tests/test_calc.py": "import pytest\npytest.skip('no', allow_module_level=True)\n",
        },
        "skipped",
    ),
    "nothing to run": ({"app/calc.py": WRONG, "tests/test_calc.py": "x = 1\n"}, "no test was found"),
    "hides a test": (
        {"app/calc.py": RIGHT, "tests/test_calc.py": TEST + "\ndel globals()['test_zero']\n"},
        "were not run: tests/test_calc.py::test_zero",
    ),
    "plants a report": (
        {
            "app/calc.py": "import json, os, pathlib\n"
            'report = {"nonce": "x", "exit_code": 1, "events": []}\n'
            'pathlib.Path("multi-agent-test-harness/report.json").write_text(json.dumps(report))\n'
            "print('2 passed in 0.01s')\nos._exit(0)\n"
        },
        "ended",
    ),
    "changes the exit code": (
        {
            "app/calc.py": WRONG + "import atexit, os\natexit.register(os._exit, 0)\n",
        },
        "",
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
async def test_tampering_is_never_a_pass(sandbox: Sandbox, name: str) -> None:
    files, reason = TAMPERING[name]
    result = await _run(sandbox, files)
    assert result.verdict == "failed"
    assert reason in _problems(result)


async def test_steering_files_count_only_from_a_tester_or_the_base(sandbox: Sandbox) -> None:
    files = {"app/calc.py": WRONG, "conftest.py": REWRITE, "pytest.ini": "[pytest]\naddopts = --co\n"}
    by_the_coder = {"conftest.py": "coder", "pytest.ini": ""}
    ignored = await _run(sandbox, files, authors=by_the_coder)
    assert "assert 6 == 4" in [case.message for case in _report(ignored).results]
    honoured = await _run(sandbox, files, authors={"conftest.py": "tester"})
    assert honoured.verdict == "failed"
    assert "must fail" in _problems(honoured)


async def test_a_testers_fixtures_work(sandbox: Sandbox) -> None:
    fixtures = "import pytest\n@pytest.fixture\ndef three():\n    return 3\n"
    files = {
        "app/calc.py": RIGHT,
        "tests/conftest.py": fixtures,
        "tests/test_more.py": "def test_three(three):\n    assert three == 3\n",
    }
    for authors in ({"tests/conftest.py": "tester"}, {}):
        result = await _run(sandbox, files, authors=authors)
        assert result.verdict == "passed"


async def test_an_endless_loop_is_a_failure(sandbox: Sandbox) -> None:
    files = {"app/calc.py": "def double(x):\n    while True:\n        pass\n"}
    result = await _run(sandbox, files, timeout_seconds=3)
    assert result.verdict == "failed"
    assert _report(result).runs[0].verdict == "timeout"
    assert "longer than allowed" in _problems(result)


async def test_a_selection_runs_what_it_selects(sandbox: Sandbox) -> None:
    result = await _run(sandbox, {"app/calc.py": RIGHT}, "pytest tests/test_calc.py -k zero -q --tb=short")
    assert [case.test_id for case in _report(result).results] == ["tests/test_calc.py::test_zero"]
    assert result.verdict == "passed"


async def test_another_program_counts_by_its_exit_code(sandbox: Sandbox) -> None:
    files = {"app/calc.py": RIGHT}
    good = await _run(sandbox, files, "python -c 'import app.calc'")
    bad = await _run(sandbox, files, "python -c 'import app.none'")
    assert (good.verdict, bad.verdict) == ("passed", "failed")
    assert "No module named 'app.none'" in _report(bad).runs[0].output_tail
    assert _report(bad).results[0].message == "failed, exit code 1"


async def test_an_option_that_could_change_the_meaning_is_refused() -> None:
    for option in ("--deselect=x", "-c", "-p", "--collect-only", "--cov-fail-under=80"):
        with pytest.raises(InvalidInput, match=option):
            await _run(ScriptedSandbox(), {"app/calc.py": RIGHT}, f"pytest tests {option}")


async def test_a_broken_sandbox_is_an_error() -> None:
    with pytest.raises(SandboxUnavailable):
        await _run(ScriptedSandbox(SandboxUnavailable("no disk")), {"app/calc.py": RIGHT})


async def test_a_sandbox_that_was_ended_from_outside_is_no_failed_test() -> None:
    ended = SandboxResult(Verdict.KILLED, None, b"", b"", {}, 0.1, "test", Isolation.CONTAINER)
    for cmd in ("pytest tests", "python main.py"):
        with pytest.raises(SandboxUnavailable, match="was ended while"):
            await _run(ScriptedSandbox(ended), {"app/calc.py": RIGHT}, cmd)


async def test_each_run_has_a_sandbox_of_its_own(sandbox: Sandbox) -> None:
    leave = (
        "import pathlib\ndef test_leave():\n    for path in '/tmp/left', 'left': pathlib.Path(path).touch()\n"
    )
    look = "import os\ndef test_look():\n    assert not any(map(os.path.exists, ['/tmp/left', 'left']))\n"
    files = {"tests/test_calc.py": leave, "more/test_look.py": look}
    for cmd in ("pytest tests", "pytest more"):
        assert (await _run(sandbox, files, cmd)).verdict == "passed"


async def test_the_first_time_it_writes_the_tests_the_contract_asks_for(local_sandbox: Sandbox) -> None:
    model = ScriptedModel(
        code(tests__test_calc="def test_other():\n    assert True\n"),
        code(tests__test_calc=TEST),
    )
    files = {"app/__init__.py": b"", "app/calc.py": RIGHT.encode(), "contract.json": _contract()}
    task = TaskMaker(model, local_sandbox)(
        base=BaseTree(files), role="tester", writable=["tests/"], input_artifacts=["contract.json"]
    )
    result = await TesterAgent().run(task)
    assert result.verdict == "passed"
    assert list(result.files) == ["tests/test_calc.py"]
    assert "these tests are missing: test_two, test_zero" in model.requests[1].messages[-1].text


async def test_a_later_cycle_asks_no_model(sandbox: Sandbox) -> None:
    files = {"app/__init__.py": b"", "app/calc.py": WRONG.encode(), "tests/test_calc.py": TEST.encode()}
    task = TaskMaker(sandbox=sandbox)(
        base=BaseTree(files), role="tester", writable=["tests/test_calc.py"], cycle=1
    )
    result = await TesterAgent().run(task)
    assert result.verdict == "failed"
    assert dict(result.files) == {}


async def test_nothing_to_run_is_a_failure() -> None:
    with pytest.raises(AgentFailure, match="nothing to run"):
        await TesterAgent().run(TaskMaker()(role="tester", cycle=1))


def _contract() -> bytes:
    return contract("test_two", "test_zero").encode()
