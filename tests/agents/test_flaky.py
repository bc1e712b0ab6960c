"""A test that fails now and then is called flaky: never passed, and no fault of work that left it alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from contracts.documents.reports import TestReport
from contracts.ports.trees import TreeBase, TreeChanges, TreeFile
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    Environment,
    Preparation,
    Workspace,
    WorkspaceLimits,
    Workspaces,
)
from tests.agents.over_trees import OverTrees
from tests.agents.support import TaskMaker

FLAKY = "tests/test_flaky.py::test_luck"
TREE = {
    "calc.py": b"def double(x):\n    return 2 * x\n",
    "tests/test_calc.py": b"from calc import double\n\n\ndef test_two():\n    assert double(2) == 4\n",
}


class Numbered:
    """Workspaces whose trees say which of them they are."""

    def __init__(self, inner: Workspaces) -> None:
        self._inner, self.opened = inner, 0

    async def offered(self) -> bool:
        return True

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
        *,
        brief: bool = False,
    ) -> Workspace:
        self.opened += 1
        before = preparation.changes
        files = {**before.files, "number": TreeFile(str(self.opened).encode())}
        changed = replace(preparation, changes=TreeChanges(before.deleted, files))
        return await self._inner.open(base, environment, limits, changed)


def _fails_in(*runs: int) -> bytes:
    """A test that fails in these sandboxes, which does not show where."""
    return f"def test_luck():\n    assert int(open('number').read()) not in {[*runs]}\n".encode()


async def _tested(over: OverTrees, luck: bytes, *, old: bool) -> AgentResult:
    over.workspaces = Numbered(over.workspaces)
    files = {**TREE, "tests/test_flaky.py": luck}
    criteria = {"tests": [{"cmd": "pytest tests"}]}
    task = TaskMaker()(role="tester", cycle=1, acceptance_criteria=criteria, base=BaseTree(files))
    return await TesterAgent().run(over.give(task, files if old else TREE))


def _flaky(result: AgentResult) -> Iterable[tuple[str, str]]:
    assert isinstance(result.report, TestReport)
    return [(case.test_id, case.outcome) for case in result.report.results if case.flaky]


# Tests run apart from the code first: a failing session takes two sandboxes, a passing one takes one.
async def test_one_that_was_there_is_named_and_costs_no_debug_cycle(over_trees: OverTrees) -> None:
    result = await _tested(over_trees, _fails_in(1, 2), old=True)
    assert result.verdict == "passed"
    assert list(_flaky(result)) == [(FLAKY, "failed")], "it is not called passed"
    assert result.tests is not None
    assert (result.tests.flaky, result.tests.failed, result.tests.failure) == ((FLAKY,), 1, None)
    expected = f"1 passed, 1 failed; flaky: {FLAKY} failed, and passed when the same was run again"
    assert result.summary == expected


async def test_one_of_the_work_must_pass_every_time(over_trees: OverTrees) -> None:
    result = await _tested(over_trees, _fails_in(1, 2), old=False)
    assert result.verdict == "failed"
    assert list(_flaky(result)) == [(FLAKY, "failed")]
    assert result.tests is not None
    assert result.tests.flaky is None
    assert "failed, and passed when the same was run again: assert 2 not in [1, 2]" in result.summary


@pytest.mark.parametrize("runs", [(1, 2, 4, 5), (1, 2, 3, 4)])
async def test_one_that_passes_only_alone_or_not_even_then_fails(
    over_trees: OverTrees, runs: tuple[int, ...]
) -> None:
    result = await _tested(over_trees, _fails_in(*runs), old=True)
    assert result.verdict == "failed"
    assert list(_flaky(result)) == []


NEW = b"from calc import triple\n\n\ndef test_three():\n    assert triple(1) == 3\n"


@pytest.mark.parametrize(("runs", "verdict"), [((4,), "passed"), ((4, 6), "failed")])
async def test_all_tests_run_again_where_few_fail(
    over_trees: OverTrees, runs: tuple[int, ...], verdict: str
) -> None:
    """Sandboxes: its own test; it on the base, apart and together; all; all on the base; all again."""
    over_trees.workspaces = Numbered(over_trees.workspaces)
    start = {**TREE, "tests/test_flaky.py": _fails_in(*runs)}
    files = {
        **start,
        "calc.py": TREE["calc.py"] + b"\n\ndef triple(x):\n    return 3 * x\n",
        "tests/test_new.py": NEW,
    }
    rules = {"validation_rules": [{"type": "command", "command": "python -m pytest"}]}
    task = TaskMaker()(role="tester", acceptance_criteria=rules, base=BaseTree(files))
    result = await TesterAgent().run(over_trees.give(task, start))
    assert result.verdict == verdict
    assert result.tests is not None
    assert result.tests.flaky == ((FLAKY,) if verdict == "passed" else None)
    assert ("flaky: " in result.summary) == (verdict == "passed")
