"""What makes results doubtful is no fault of work where the unchanged base does the same."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from tests.agents.over_trees import OverTrees
from tests.agents.support import TaskMaker

# A function that is called back keeps the tests in one process with the code.
CODE = "def double(read):\n    return read() + read() if read() else 1\n"
MENDED = "def double(read):\n    return read() + read()\n"
ODD = """import _pytest.python

_runs = _pytest.python.Function.runtest
_pytest.python.Function.runtest = lambda self: _runs(self)


"""
MORE = "_pytest.python.Function.setup = lambda self: None\n\n\n"
OLD = "from calc import double\n\n\ndef test_two():\n    assert double(lambda: 2) == 4\n"
NEW = "from calc import double\n\n\ndef test_none():\n    assert double(lambda: 0) == 0\n"
OMITS = "def pytest_pyfunc_call(pyfuncitem):\n    return True if '{}' in pyfuncitem.name else None\n"
SLOW = "def test_slow():\n    assert double(lambda: 3) == 6\n"

# By name: the base's and the work's files, and why the work does not pass.
CASES: dict[str, tuple[dict[str, str], dict[str, str], str | None]] = {
    "the base's code changes it": (
        {"calc.py": ODD + CODE, "tests/test_old.py": OLD},
        {"calc.py": ODD + MENDED, "tests/test_new.py": NEW},
        None,
    ),
    "the work's code changes more": (
        {"calc.py": ODD + CODE, "tests/test_old.py": OLD},
        {"calc.py": ODD + MORE + MENDED, "tests/test_new.py": NEW},
        "changed the test program: _pytest.python.Function.setup",
    ),
    "the work's tests do": (
        {"calc.py": CODE, "tests/test_old.py": OLD},
        {"calc.py": MENDED, "tests/conftest.py": ODD, "tests/test_new.py": NEW},
        "changed the test program: _pytest.python.Function.runtest",
    ),
    "a test of the base's is not run": (
        {"calc.py": CODE, "tests/conftest.py": OMITS.format("slow"), "tests/test_old.py": OLD + SLOW},
        {"calc.py": MENDED, "tests/test_old.py": OLD + SLOW + NEW[25:]},
        None,
    ),
    "a test of the work's is not run": (
        {"calc.py": CODE, "tests/conftest.py": OMITS.format("slow"), "tests/test_old.py": OLD + SLOW},
        {"tests/conftest.py": OMITS.format("none"), "tests/test_old.py": OLD + SLOW + NEW[25:]},
        "tests count as passed that did not come to their end: tests/test_old.py::test_none",
    ),
}


async def _judged(
    over: OverTrees, first: Mapping[str, str], changes: Mapping[str, str], criteria: object
) -> AgentResult:
    trees = (first, {**first, **changes})
    start, files = ({path: text.encode() for path, text in tree.items()} for tree in trees)
    task = TaskMaker()(role="tester", cycle=1, acceptance_criteria=criteria, base=BaseTree(files))
    return await TesterAgent().run(over.give(task, start))


@pytest.mark.parametrize(
    ("case", "names_tests"), list(zip(CASES, (False, True, False, True, True), strict=True))
)
async def test_only_what_the_base_did_not_do_is_a_fault(
    over_trees: OverTrees, case: str, names_tests: bool
) -> None:
    first, changes, problem = CASES[case]
    criteria = {"tests": [{"cmd": "pytest tests"}]} if names_tests else {}
    result = await _judged(over_trees, first, changes, criteria)
    assert result.tests is not None
    if problem is None:
        assert (result.verdict, result.tests.failure) == ("passed", None), result.summary
        assert result.tests.failed == 0
    else:
        assert result.verdict == "failed"
        assert problem in result.summary
