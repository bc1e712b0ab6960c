"""The first failure of a report: its line, its place, and whether the unchanged base has it too."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agents.roles.coder import CoderAgent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.testing.error_lines import ErrorLine, first_error
from artifacts import GitArtifactStore
from contracts.base.errors import AgentFailure
from contracts.documents.failure import TestFailure
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit
from contracts.ports.sandbox import Sandbox
from tests.agents.support import CREATED_AT, ScriptedModel, TaskMaker, code

USES_CALC = "from app.calc import double\n\ndef test_two():\n    assert double(2) == 4\n"
RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return 3 * x\n"
RAISES = "def double(x):\n    y = x\n    raise ValueError(f'no {y}')\n"
NEEDS = "import freezegun\n" + RIGHT
NO_MODULE = "ModuleNotFoundError: No module named 'freezegun'"


async def _run(
    sandbox: Sandbox,
    files: dict[str, str],
    cmd: str = "pytest tests",
    *,
    start: dict[str, str] | None = None,
    store: GitArtifactStore | None = None,
) -> AgentResult:
    tree = {"app/__init__.py": "", **files}
    base = BaseTree({path: text.encode() for path, text in tree.items()})
    criteria = {"tests": [{"cmd": cmd}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    if start is not None and store is not None:
        commit = await _commit(store, {"app/__init__.py": "", **start})
        request = task.request.model_copy(update={"base_commit": commit})
        task = replace(task, request=request, commits=store)
    return await TesterAgent().run(task)


async def _commit(store: GitArtifactStore, files: dict[str, str]) -> str:
    metadata = ArtifactMetadata(
        workflow_id="w1",
        task_id="start",
        correlation_id="w1",
        agent_role="coder",
        agent_version="1",
        timestamp="2025-06-15T12:00:00Z",
    )
    content = {path: text.encode() for path, text in files.items()}
    pending = PendingCommit("w1", "start", 1, "e1", (), content, metadata, "start", CREATED_AT)
    [commit] = await store.write([pending])
    return commit


def _failure(result: AgentResult) -> TestFailure:
    assert result.verdict == "failed"
    assert result.tests is not None
    failure = result.tests.failure
    assert failure is not None
    assert result.report is not None
    assert result.report.model_dump()["failure"] == failure.model_dump()
    assert result.summary.endswith(failure.sentence)
    return failure


CASES = {
    "an assertion": (
        {"app/calc.py": WRONG, "tests/test_calc.py": USES_CALC},
        "pytest tests",
        ("failed", "tests/test_calc.py::test_two", "assert 6 == 4", "tests/test_calc.py:4"),
    ),
    "an error in the code": (
        {"app/calc.py": RAISES, "tests/test_calc.py": USES_CALC},
        "pytest tests",
        ("failed", "tests/test_calc.py::test_two", "ValueError: no 2", "app/calc.py:3"),
    ),
    "a package that is not there": (
        {"app/calc.py": NEEDS, "tests/test_calc.py": USES_CALC},
        "pytest tests",
        ("not_loaded", "tests/test_calc.py", NO_MODULE, "app/calc.py:1"),
    ),
    "a test that does not parse, behind one that fails": (
        {
            "app/calc.py": WRONG,
            "tests/test_calc.py": USES_CALC,
            "tests/test_z.py": "import app\n\ndef test_(:\n    pass\n",
        },
        "pytest tests",
        ("not_loaded", "tests/test_z.py", "SyntaxError: ", "tests/test_z.py:3"),
    ),
    "fixtures that cannot be loaded": (
        {"app/calc.py": RIGHT, "tests/test_calc.py": USES_CALC, "tests/conftest.py": "\nimport freezegun\n"},
        "pytest tests",
        ("not_loaded", "pytest tests", NO_MODULE, "tests/conftest.py:2"),
    ),
    "a file of tests that is not there": (
        {"app/calc.py": RIGHT, "tests/test_calc.py": USES_CALC},
        "pytest tests/test_none.py",
        ("not_loaded", "pytest tests/test_none.py", "ERROR: file or directory not found: ", ""),
    ),
    "nothing but skips": (
        {"app/calc.py": RIGHT, "tests/test_calc.py": "import pytest\npytestmark = pytest.mark.skip\n"},
        "pytest tests",
        ("not_verified", "pytest tests", "no test was found", ""),
    ),
    "a command": (
        {"app/calc.py": NEEDS, "run.py": "\nfrom app.calc import double\n"},
        "python run.py",
        ("failed", "python run.py", f"exit code 1: {NO_MODULE}", "app/calc.py:1"),
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_report_names_its_first_failure(sandbox: Sandbox, name: str) -> None:
    files, cmd, (kind, test, error, place) = CASES[name]
    failure = _failure(await _run(sandbox, files, cmd))
    assert (failure.kind, failure.test, failure.place) == (kind, test, place)
    assert failure.error.startswith(error)
    assert not failure.on_base


async def test_tests_that_pass_have_no_failure(sandbox: Sandbox) -> None:
    result = await _run(sandbox, {"app/calc.py": RIGHT, "tests/test_calc.py": USES_CALC})
    assert result.tests is not None
    assert (result.verdict, result.tests.failure, result.summary) == ("passed", None, "1 passed, 0 failed")


BASES = {
    "a package that the base needs too": (
        {"app/other.py": "import freezegun\n", "tests/test_new.py": "import app.other\ndef test(): pass\n"},
        {"app/other.py": "import freezegun\n"},
        "pytest tests/test_new.py",
        True,
    ),
    "a package that the change needs": (
        {"app/calc.py": NEEDS, "tests/test_calc.py": USES_CALC},
        {"app/calc.py": RIGHT, "tests/test_calc.py": USES_CALC},
        "pytest tests",
        False,
    ),
    "what the change has not made": (
        {"app/calc.py": "", "tests/test_calc.py": USES_CALC},
        {"app/calc.py": ""},
        "pytest tests",
        False,
    ),
    "a test that failed before": (
        {"app/calc.py": WRONG, "tests/test_calc.py": USES_CALC, "app/new.py": ""},
        {"app/calc.py": WRONG, "tests/test_calc.py": USES_CALC},
        "pytest tests",
        True,
    ),
    "a test that passed before": (
        {"app/calc.py": WRONG, "tests/test_calc.py": USES_CALC},
        {"app/calc.py": RIGHT, "tests/test_calc.py": USES_CALC},
        "pytest tests",
        False,
    ),
    "a command that failed before": (
        {"run.py": "import freezegun\n", "app/new.py": ""},
        {"run.py": "import freezegun\n"},
        "python run.py",
        True,
    ),
}


@pytest.mark.parametrize("name", BASES)
async def test_what_the_unchanged_base_has_too_is_said_to_be_that(
    sandbox: Sandbox, store: GitArtifactStore, name: str
) -> None:
    files, start, cmd, on_base = BASES[name]
    failure = _failure(await _run(sandbox, files, cmd, start=start, store=store))
    assert failure.on_base is on_base
    assert ("the unchanged base" in failure.sentence) is on_base
    assert failure.environment is (on_base and failure.kind == "not_loaded")
    assert failure.sentence.startswith("environment: ") is failure.environment


OUTPUTS = {
    "a traceback": (
        'Traceback (most recent call last):\n  File "/work/run.py", line 3, in <module>\n'
        '    import json.x\n  File "/usr/lib/python3.11/json/__init__.py", line 9, in f\nValueError: no\n',
        ErrorLine("ValueError: no", "run.py", 3),
    ),
    "a cause and its consequence": (
        'Traceback (most recent call last):\n  File "run.py", line 1, in a\nKeyError: 1\n\nDuring\n\n'
        'Traceback (most recent call last):\n  File "app/a.py", line 2, in b\nRuntimeError: gone\n',
        ErrorLine("RuntimeError: gone", "app/a.py", 2),
    ),
    "Node.js": (
        "file:///tmp/w/web/a.mjs:7\nthrow x\n^\n\nError: no such thing\n    at file:///tmp/w/web/a.mjs:7:7\n",
        ErrorLine("Error: no such thing", "web/a.mjs", 7),
    ),
    "a linter": (
        "checking\napp/a.py:12:5: F821 undefined name 'x'\napp/a.py:13:5: F821 undefined name 'y'\n",
        ErrorLine("F821 undefined name 'x'", "app/a.py", 12),
    ),
    "a line that speaks of an error": (
        "begin\nmake: *** No rule: error 2\nend\n",
        ErrorLine("make: *** No rule: error 2"),
    ),
    "a last line": ("one\ntwo\n\n", ErrorLine("two")),
    "nothing": ("\n", ErrorLine("")),
    "a place outside": ("/usr/lib/x.py:3: bad thing failed\n", ErrorLine("x.py:3: bad thing failed")),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_error_of_an_output_and_its_place(name: str) -> None:
    output, wanted = OUTPUTS[name]
    assert first_error(output, {"run.py", "app/a.py", "web/a.mjs"}) == wanted


async def test_a_validation_command_says_what_is_wrong_in_its_first_line(sandbox: Sandbox) -> None:
    rules = {"validation_rules": [{"type": "command", "command": "python app.py"}]}
    model = ScriptedModel(*[code(app="\nimport freezegun\n")] * 3)
    task = TaskMaker(model, sandbox)(writable=["app.py"], acceptance_criteria=rules)
    with pytest.raises(AgentFailure) as caught:
        await CoderAgent().run(task)
    first = str(caught.value).splitlines()[0]
    assert first == f"validation command 'python app.py' failed: exit code 1: {NO_MODULE} (app.py:2)"


async def test_node_names_file_and_line(sandbox: Sandbox) -> None:
    test = "import test from 'node:test';\nimport assert from 'node:assert';\n"
    files = {
        "web/a.test.mjs": test + "test('two', () => {\n  assert.strictEqual(1, 2);\n});\n",
        "web/b.test.mjs": "import './none.mjs';\n",
        "package.json": json.dumps({"type": "module"}),
    }
    failed = _failure(await _run(sandbox, files, "node --test web/a.test.mjs"))
    assert (failed.kind, failed.test, failed.place) == ("failed", "web/a.test.mjs::two", "web/a.test.mjs:4")
    broken = _failure(await _run(sandbox, files, "node --test web/b.test.mjs"))
    assert (broken.kind, broken.test) == ("not_loaded", "web/b.test.mjs")
    assert broken.error.startswith("Cannot find module ")
