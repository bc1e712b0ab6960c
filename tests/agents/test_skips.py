"""Skips and expected failures: what a test's source says is one, anything else is a failure and shown."""

from __future__ import annotations

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.testing.declared import Phase
from agents.testing.node_commands import declared_in_node
from agents.testing.python_tests import declared_in_python
from contracts.documents.reports import TestReport
from contracts.ports.sandbox import Sandbox
from tests.agents.support import TaskMaker

UNPROMISED = "skipped, or expected to fail, which its source does not say"
TEST = """
from app.calc import double

def test_two():
    assert double(2) == 4

def test_three():
    assert double(3) == 6

def test_five():
    assert double(5) == 10
"""
UNITTEST = """
import unittest
from app.calc import double

class TestDouble(unittest.TestCase):
    def test_two(self):
        self.assertEqual(double(2), 4)

    def test_three(self):
        self.assertEqual(double(3), 6)
"""
MARKED = TEST.replace("def test_three", "@pytest.mark.skipif(False, reason='no')\ndef test_three")
SOLUTION = "import pytest, unittest\ndef double(x):\n    if x == 2: return 4\n    {}\n"
AS_A_TEST = """
import os
source = "import pytest\\ndef double(x):\\n    if x == 2: return 4\\n    pytest.skip('later')\\n"
exec(compile(source, os.path.abspath("tests/test_calc.py"), "exec"))
"""

FORGED = {
    "SkipTest": (TEST, SOLUTION.format("raise unittest.SkipTest('later')")),
    "pytest.skip": (TEST, SOLUTION.format("pytest.skip('later')")),
    "pytest.xfail": (TEST, SOLUTION.format("pytest.xfail('later')")),
    "importorskip": (TEST, SOLUTION.format("pytest.importorskip('no_such_module')")),
    "a frame that looks like the test's": (TEST, AS_A_TEST),
    "in a TestCase": (UNITTEST, SOLUTION.format("raise unittest.SkipTest('later')")),
    "where a mark says something else": (
        "import pytest\n" + MARKED,
        SOLUTION.format("raise unittest.SkipTest('later')"),
    ),
    "where the test may skip by itself": (
        TEST.replace("def test_three():", "def test_three():\n    if double(1) == 9: pytest.skip('nine')")
        .replace("from app", "import pytest\nfrom app")
        .replace("double(5) == 10", "double(2) == 4"),
        SOLUTION.format("pytest.skip('later')"),
    ),
}


async def _run(sandbox: Sandbox, files: dict[str, str], cmd: str = "pytest tests") -> AgentResult:
    base = BaseTree({path: text.encode() for path, text in files.items()})
    criteria = {"tests": [{"cmd": cmd, "timeout_seconds": 60}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    return await TesterAgent().run(task)


def _outcomes(result: AgentResult) -> dict[str, tuple[str, str]]:
    assert isinstance(result.report, TestReport)
    return {case.test_id: (case.outcome, case.message) for case in result.report.results}


@pytest.mark.parametrize("name", FORGED)
async def test_a_skip_of_the_solution_is_a_failure(sandbox: Sandbox, name: str) -> None:
    test, solution = FORGED[name]
    result = await _run(sandbox, {"tests/test_calc.py": test, "app/calc.py": solution})
    assert result.verdict == "failed"
    failed = {test: message for test, (outcome, message) in _outcomes(result).items() if outcome == "failed"}
    assert failed
    assert all(UNPROMISED in message for message in failed.values())
    assert any("later" in message or "no_such_module" in message for message in failed.values())


async def test_a_file_that_the_solution_has_skipped_is_a_failure(sandbox: Sandbox) -> None:
    files = {
        "tests/test_calc.py": TEST,
        "tests/test_more.py": "def test_one():\n    assert 1 == 1\n",
        "app/calc.py": "import unittest\nraise unittest.SkipTest('later')\n",
    }
    result = await _run(sandbox, files)
    assert result.verdict == "failed"
    outcome, message = _outcomes(result)["tests/test_calc.py"]
    assert outcome == "failed"
    assert UNPROMISED in message


PROMISED = """
import sys, unittest
import pytest

pytest.importorskip("json")

@pytest.fixture
def far():
    pytest.skip("far away")

def test_runs():
    assert 1 == 1

@pytest.mark.skip(reason="no")
def test_marked():
    assert 1 == 2

@pytest.mark.skipif(sys.version_info > (3,), reason="old")
def test_conditional():
    assert 1 == 2

@pytest.mark.xfail(reason="known")
def test_expected():
    assert 1 == 2

def test_by_itself():
    pytest.skip("not now")

def test_raised():
    raise unittest.SkipTest("not now")

def test_fixture(far):
    assert 1 == 2

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.skip)])
def test_parameter(x):
    assert x == 1

@pytest.mark.skip
class TestMarked:
    def test_in_it(self):
        assert 1 == 2

class TestOld(unittest.TestCase):
    @unittest.skip("no")
    def test_decorated(self):
        self.assertEqual(1, 2)

    @unittest.expectedFailure
    def test_expected(self):
        self.assertEqual(1, 2)

    def test_by_itself(self):
        self.skipTest("not now")

@unittest.skipUnless(False, "no")
class TestOlder(unittest.TestCase):
    def test_in_it(self):
        self.assertEqual(1, 2)
"""
CONFTEST = """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        if "slow" in item.name:
            item.add_marker(pytest.mark.skip(reason="slow"))
"""


async def test_a_skip_of_the_source_is_one(sandbox: Sandbox) -> None:
    files = {
        "tests/test_calc.py": PROMISED,
        "tests/conftest.py": CONFTEST,
        "tests/test_slow.py": "def test_slow():\n    assert 1 == 2\n",
        "tests/test_absent.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_a(): ...\n",
    }
    result = await _run(sandbox, files)
    assert result.verdict == "passed"
    outcomes = {test.partition("::")[2]: outcome for test, (outcome, _) in _outcomes(result).items()}
    passed = {test for test, outcome in outcomes.items() if outcome == "passed"}
    assert passed == {"test_runs", "test_parameter[1]"}
    assert set(outcomes.values()) == {"passed", "skipped"}
    assert len(outcomes) == 16


async def test_a_run_of_nothing_but_skips_has_not_passed(sandbox: Sandbox) -> None:
    test = "import pytest\n@pytest.mark.skip\ndef test_a():\n    assert 1 == 2\n"
    result = await _run(sandbox, {"tests/test_calc.py": test})
    assert result.verdict == "failed"
    assert "every test was skipped" in str(_outcomes(result))


def test_what_python_says_is_read_by_phase() -> None:
    files = {"tests/test_a.py": PROMISED.encode(), "tests/conftest.py": CONFTEST.encode(), "test_b.py": b"("}
    skips = declared_in_python(files).skips
    for name in ("test_marked", "test_conditional", "test_parameter[2]", "TestMarked::test_in_it"):
        assert skips.allow(f"tests/test_a.py::{name}", Phase.SETUP)
    assert skips.allow("tests/deep/test_c.py::test_slow", Phase.SETUP)
    assert not skips.allow("test_c.py::test_slow", Phase.SETUP)
    assert not skips.allow("test_c.py", Phase.COLLECT)
    assert skips.allow("tests/test_a.py", Phase.COLLECT)
    whole = {"test_a.py": b"import pytest\npytestmark = pytest.mark.xfail\ndef test_a(): ...\n"}
    assert declared_in_python(whole).skips.allow("test_a.py::test_a", Phase.CALL)
    assert not declared_in_python(whole).skips.allow("test_a.py", Phase.COLLECT)
    plain = declared_in_python({"test_a.py": b"import pytest\n@pytest.mark.skip\ndef test_a(): ...\n"}).skips
    assert not plain.allow("test_a.py::test_a", Phase.CALL)
    assert not plain.allow("test_a.py::test_b", Phase.SETUP)


def test_what_node_says_is_read_by_line() -> None:
    source = b"""
test('runs', () => {});
test.skip('not now', () => {});
test('later', { todo: true }, () => {});
test('by itself', (t) => {
  t.skip('no');
});
describe('suite', () => {
  it('inner', () => {});
  it.todo('inner later');
});
"""
    declared = declared_in_node({"a.mjs": source})
    assert declared.expected == {f"a.mjs::{name}" for name in ("runs", "later", "by itself", "suite > inner")}
    may = {name for name in (*declared.expected, "a.mjs::not now") if declared.skips.allow(name, Phase.CALL)}
    assert may == {"a.mjs::not now", "a.mjs::later", "a.mjs::by itself"}
    assert declared.skips.allow("a.mjs::suite > inner later", Phase.CALL)
    assert not declared.skips.allow("a.mjs", Phase.CALL)
    whole = declared_in_node({"a.mjs": b"const options = { skip: true };\n"}).skips
    assert whole.allow("a.mjs::any", Phase.CALL)
    assert not whole.allow("b.mjs::any", Phase.CALL)


NODE_TEST = """
import test from 'node:test';
import assert from 'node:assert/strict';
import { double } from '../app/calc.mjs';

test('two', () => assert.equal(double(2), 4));
test('three', (t) => assert.equal(double(3, t), 6));
"""
RIGHT = "export const double = (x) => 2 * x;\n"
NODE_SOLUTION = "export const double = (x, t) => {{ if (x === 2) return 4; {} }};\n"
NODE_FORGED = {
    "skips by the context": NODE_SOLUTION.format("t.skip('later'); return 6;"),
    "to do by the context": NODE_SOLUTION.format("t.todo('later'); return 7;"),
}


@pytest.mark.parametrize("name", NODE_FORGED)
async def test_a_skip_of_a_node_solution_is_a_failure(sandbox: Sandbox, name: str) -> None:
    files = {"tests/calc.test.mjs": NODE_TEST, "app/calc.mjs": NODE_FORGED[name]}
    result = await _run(sandbox, files, "node --test tests")
    assert result.verdict == "failed"
    outcomes = _outcomes(result)
    assert outcomes["tests/calc.test.mjs::two"] == ("passed", "")
    assert outcomes["tests/calc.test.mjs::three"][0] == "failed"
    assert UNPROMISED in outcomes["tests/calc.test.mjs::three"][1]


async def test_a_skip_of_node_source_is_one(sandbox: Sandbox) -> None:
    more = "test.skip('no', () => assert.equal(1, 2));\ntest('later', { todo: true }, () => assert.ok(0));\n"
    more += "test('by itself', (t) => { t.skip('no'); });\n"
    files = {"tests/calc.test.mjs": NODE_TEST + more, "app/calc.mjs": RIGHT}
    result = await _run(sandbox, files, "node --test tests")
    assert result.verdict == "passed"
    outcomes = {test.partition("::")[2]: outcome for test, (outcome, _) in _outcomes(result).items()}
    assert outcomes == {
        "two": "passed",
        "three": "passed",
        "no": "skipped",
        "later": "skipped",
        "by itself": "skipped",
    }
    alone = "import test from 'node:test';\ntest.skip('no', () => {});\n"
    assert (await _run(sandbox, {"tests/a.test.mjs": alone}, "node --test tests")).verdict == "failed"
