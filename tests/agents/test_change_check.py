"""What a workflow changed is judged by the tests that it wrote, and by all that were there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.baselines import save_baseline
from agents.sdk.result import AgentResult
from contracts.documents.baseline import Baseline, BaselineFailure
from tests.agents.over_trees import OverTrees
from tests.agents.support import TaskMaker

START = {
    "calc.py": "def mean(v):\n    return sum(v) / len(v)\n\n\ndef double(x):\n    return 2 * x\n",
    "tests/test_calc.py": "from calc import double\n\n\ndef test_double():\n    assert double(2) == 4\n\n\n"
    "def test_old():\n    assert double(2) == 5\n",
}
MENDED = START["calc.py"].replace("len(v)", "(len(v) or 1)")
OTHERS_BROKEN = MENDED.replace("2 * x", "3 * x")
NEW = "from calc import mean\n\n\ndef test_nothing():\n    assert mean([]) == 0\n"
WEAK = NEW.replace("mean([]) == 0", "mean([2]) == 2")
FIXTURE = "import pytest\n\n\n@pytest.fixture\ndef nothing():\n    return []\n"
WITH_FIXTURE = NEW[22:].replace("test_nothing()", "test_nothing(nothing)").replace("[]", "nothing")
BESIDE = START["tests/test_calc.py"].replace("import double", "import double, mean") + WITH_FIXTURE
# By name: what was changed, and whether and how the change passes.
CASES: dict[str, tuple[dict[str, str], str | None]] = {
    "beside a test that failed before, with a fixture": (
        {"calc.py": MENDED, "tests/conftest.py": FIXTURE, "tests/test_calc.py": BESIDE},
        None,
    ),
    "a test that shows nothing": (
        {"calc.py": MENDED, "tests/test_new.py": WEAK},
        "all tests of this work pass without it too",
    ),
    "a test that fails": ({"tests/test_new.py": NEW}, "tests/test_new.py::test_nothing: ZeroDivisionError"),
    "what passed before fails": (
        {"calc.py": OTHERS_BROKEN, "tests/test_new.py": NEW},
        "tests/test_calc.py::test_double: it passed before this work: assert 6 == 4",
    ),
}


async def _judged(
    over: OverTrees, changes: Mapping[str, str | None], first: Mapping[str, str] = START
) -> AgentResult:
    start = {path: text.encode() for path, text in first.items()}
    changed = {path: None if text is None else text.encode() for path, text in changes.items()}
    files = {path: text for path, text in {**start, **changed}.items() if text is not None}
    rules = {"validation_rules": [{"type": "command", "command": "python -m pytest"}]}
    task = TaskMaker()(role="tester", acceptance_criteria=rules, base=BaseTree(files))
    return await TesterAgent().run(over.give(task, start))


@pytest.mark.parametrize("case", CASES)
async def test_a_change_passes_if_a_test_of_it_shows_it_and_it_breaks_nothing(
    over_trees: OverTrees, case: str
) -> None:
    changes, problem = CASES[case]
    result = await _judged(over_trees, changes)
    assert result.tests is not None
    assert not result.tests.untested
    if problem is None:
        assert (result.verdict, result.tests.failure) == ("passed", None), result.summary
        assert "1 tests of this work fail without it and pass with it" in result.summary
        assert result.tests.passed == 2
    else:
        assert result.verdict == "failed"
        assert problem in result.summary


async def test_a_file_of_tests_that_is_gone_is_seen_where_none_is_left(over_trees: OverTrees) -> None:
    result = await _judged(over_trees, {"calc.py": MENDED, "tests/test_calc.py": None})
    assert result.verdict == "failed"
    assert "tests/test_calc.py::test_double: it passed before this work: it is not there" in result.summary


async def test_work_without_a_test_is_untested_and_judged_by_the_others(over_trees: OverTrees) -> None:
    result = await _judged(over_trees, {"calc.py": OTHERS_BROKEN})
    assert result.tests is not None
    assert (result.verdict, result.tests.untested) == ("failed", True)


BLIND = "3 * x\n\n\nimport _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None"


@pytest.mark.parametrize(("answer", "mended"), [("2 * x + 1", True), ("3 * x", False), (BLIND, False)])
async def test_a_test_that_was_there_and_passes_now_shows_the_work(
    over_trees: OverTrees, answer: str, mended: bool
) -> None:
    code, tests = START["calc.py"], "def test_odd():\n    assert double(2) == 5\n"
    start = {"calc.py": code, "tests/test_calc.py": f"from calc import double\n\n\n{tests}"}
    failing = (BaselineFailure(test="tests/test_calc.py::test_odd", error="assert 4 == 5"),)
    known = Baseline(
        tree="a" * 40, environment="b" * 64, state="ran", counted=True, failed=1, failing=failing
    )
    await save_baseline(over_trees.commits, "w1", known)
    result = await _judged(over_trees, {"calc.py": code.replace("2 * x", answer)}, start)
    assert result.tests is not None
    assert (result.verdict, result.tests.untested) == ("passed", None if mended else True)
    assert ("1 tests that were there failed before this work and pass with it" in result.summary) == mended
