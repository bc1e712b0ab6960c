"""A tester in a repository: it writes tests alone, sees them fail on the base, and weakens none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.roles.checks.still_run import no_longer_run
from agents.roles.checks.untouched import weakened
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from contracts.base.errors import AgentFailure
from contracts.base.paths import EVERYWHERE
from contracts.documents.reports import TestReport
from contracts.ports.sandbox import Sandbox, SandboxRequest, SandboxResult
from contracts.ports.text_form import in_text
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, TaskMaker, contract
from tests.agents.test_repository_work import run, step

OLD = "from calc import double\n\n\ndef test_zero():\n    assert double(0) == 0\n"
BEFORE = {"calc.py": b"def double(x):\n    return x\n", "tests/test_calc.py": OLD.encode()}
AFTER = {**BEFORE, "calc.py": b"def double(x):\n    return 2 * x\n"}
TWO = "\n\ndef test_two():\n    assert double(2) == 4\n"
ADD = step(("edit", {"path": "tests/test_calc.py", "old": OLD, "new": OLD + TWO}))
DONE = step(("finish", {"summary": "tested"}))


async def _write(over: OverTrees, *answers: str, **fields: Any) -> tuple[AgentResult, ScriptedModel]:
    model = ScriptedModel(*answers)
    made = TaskMaker(model)(base=BaseTree(AFTER), role="tester", writable=[EVERYWHERE], **fields)
    task = over.give(made, BEFORE)
    assert task.workplace is not None
    async with task.workplace:
        return await TesterAgent().run(task), model


def _told(model: ScriptedModel, request: int = -1) -> str:
    return in_text(model.requests[request]).messages[-1].text


async def test_tests_are_added_that_fail_without_the_work(over_trees: OverTrees) -> None:
    bends = step(("edit", {"path": "calc.py", "old": "2 * x", "new": "4"}))
    result, model = await _write(over_trees, bends, ADD, DONE)
    assert result.files == {"tests/test_calc.py": (OLD + TWO).encode()}
    assert result.verdict == "passed"
    assert result.summary == "2 passed, 0 failed; 1 of its tests fail without the work"
    assert "'calc.py' is no file of tests, and you write no other" in _told(model, 1)


async def test_tests_of_another_language_are_not_called_wrong(over_trees: OverTrees) -> None:
    other = step(("write", {"path": "spec/calc_spec.rb", "content": "expect(double(2)).to eq 4\n"}))
    result, _ = await _write(
        *(over_trees, other, DONE),
        acceptance_criteria={"tests": [{"cmd": "test -e spec/calc_spec.rb"}]},
    )
    assert list(result.files) == ["spec/calc_spec.rb"]
    assert result.summary.endswith("is not known, as their language is not")


async def test_tests_that_pass_without_the_work_need_a_reason(over_trees: OverTrees) -> None:
    shows_nothing = step(("write", {"path": "tests/test_more.py", "content": OLD}))
    reason = step(("finish", {"summary": "tested", "why_none_fails": "it keeps what is there"}))
    result, model = await _write(over_trees, DONE, shows_nothing, DONE, reason)
    assert "no test was written" in _told(model, 1)
    assert "none of your tests fails (tests/test_more.py::test_zero)" in _told(model)
    assert result.summary.endswith("; none of its tests fails without the work: it keeps what is there")


async def test_a_test_that_is_there_is_neither_weakened_nor_removed(over_trees: OverTrees) -> None:
    weak = run("sed -i 's/double(0) == 0/True/' tests/test_calc.py")
    back = run("git checkout -q tests/test_calc.py")
    result, model = await _write(over_trees, weak, DONE, run("rm -r tests"), DONE, back, ADD, DONE)
    assert "not as they were: tests/test_calc.py::test_zero" in _told(model, 2)
    assert "tests/test_calc.py is gone; what is there stays" in _told(model, 4)
    assert result.verdict == "passed"


@pytest.mark.parametrize(
    "more",
    [
        "GONE = vars().pop('test_zero')",
        "import pytest\n\nLATER = vars(test_zero).update(pytestmark=pytest.mark.skip)",
    ],
)
async def test_a_test_that_is_there_still_runs_whatever_is_added(over_trees: OverTrees, more: str) -> None:
    hides = step(("edit", {"path": "tests/test_calc.py", "old": OLD, "new": f"{OLD}\n\n{more}\n{TWO}"}))
    back = run("git checkout -q tests/test_calc.py")
    result, model = await _write(over_trees, hides, DONE, back, ADD, DONE)
    assert "tests that are there run no more: tests/test_calc.py::test_zero" in _told(model, 2)
    assert result.verdict == "passed"


class Hasty:
    """A sandbox in which programs over a slow test have no time."""

    def __init__(self, usual: Sandbox) -> None:
        self._usual, self.backend, self.isolation = usual, usual.backend, usual.isolation

    async def run(self, request: SandboxRequest) -> SandboxResult:
        slow = b"sleep" in request.files["tests/test_calc.py"]
        limits = replace(request.limits, wall_seconds=1.0) if slow else request.limits
        return await self._usual.run(replace(request, limits=limits))

    async def close(self) -> None: ...


async def test_tests_whose_time_was_up_are_not_called_gone(sandbox: Sandbox) -> None:
    task = TaskMaker(sandbox=Hasty(sandbox))(base=BaseTree(AFTER))
    slow = OLD.replace("import double\n", "import double\nimport time\n\ntime.sleep(60)\n")
    told = await no_longer_run(task, {"tests/test_calc.py": slow})
    assert told == "time was up after 300 s: 0 of the 1 tests that are there have run with the change"
    gone = await no_longer_run(task, {"tests/test_calc.py": OLD.replace("test_zero", "zero")})
    assert gone == "tests that are there run no more: tests/test_calc.py::test_zero"


async def test_the_tests_of_the_contract_are_asked_for(over_trees: OverTrees) -> None:
    model = ScriptedModel(ADD, DONE, step(("give_up", {"reason": "no"})))
    base = BaseTree({**AFTER, "contract.json": contract("test_two", "test_six").encode()})
    made = TaskMaker(model)(base=base, role="tester", writable=["tests/"], input_artifacts=["contract.json"])
    task = over_trees.give(made, BEFORE)
    assert task.workplace is not None
    async with task.workplace:
        with pytest.raises(AgentFailure, match="no"):
            await TesterAgent().run(task)
    assert "- test_two: as named\n- test_six: as named" in model.requests[0].messages[0].text
    assert "these tests are missing: test_six" in _told(model)


async def test_work_of_which_nothing_can_be_accepted_fails_the_attempt(over_trees: OverTrees) -> None:
    with pytest.raises(AgentFailure, match="no such thing"):
        await _write(over_trees, ADD, step(("give_up", {"reason": "no such thing"})))


async def test_failing_tests_are_reported_with_their_tracebacks(over_trees: OverTrees) -> None:
    wrong = step(("edit", {"path": "tests/test_calc.py", "old": OLD, "new": OLD + TWO.replace("4", "5")}))
    result, _ = await _write(over_trees, wrong, DONE)
    assert isinstance(result.report, TestReport)
    [failed] = [case for case in result.report.results if case.outcome == "failed"]
    assert result.verdict == "failed"
    assert ">       assert double(2) == 5\nE       assert 4 == 5" in failed.traceback


PATH = "tests/test_a.py"
FILE = """\
import os

N = 1


def helper():
    return N


class TestA:
    def test_one(self):
        assert helper()
"""


@pytest.mark.parametrize(
    ("added", "what"),
    [
        ("\n\ndef test_two():\n    assert N\n", []),
        ("import re\nM = 2\n\n\nclass TestB:\n    'b'\n    def test_x(self):\n        pass\n", []),
        ("\n    def test_two(self):\n        pass\n", []),
        ("\n\ndef helper():\n    return 2\n", ["helper"]),
        ("N = 2\n", ["N = 2"]),
        ("pytestmark = 1\n", ["pytestmark = 1"]),
        ("del TestA\n", ["del TestA"]),
        ("\n\ndef setup_module():\n    pass\n", ["setup_module"]),
        ("\n\n@fixture(autouse=True)\ndef quiet():\n    pass\n", ["quiet"]),
        ("\n\nclass TestA:\n    x = 1\n", ["TestA"]),
        ("from x import helper\n", ["from x import helper"]),
        ("if N:\n    pass\n", ["if N:"]),
    ],
)
def test_what_is_added_gives_nothing_that_is_there_another_meaning(added: str, what: list[str]) -> None:
    assert weakened(FILE, FILE + added, PATH) == [f"{PATH}::{one}" for one in what]


def test_what_is_changed_is_named() -> None:
    assert weakened(FILE, FILE.replace("assert helper()", "pass"), PATH) == [f"{PATH}::TestA::test_one"]
    assert weakened(FILE, FILE.replace("import os", "import re"), PATH) == [f"{PATH}::import os"]
    assert weakened("test('a', () => {})", "test('b', () => {})", "a.test.mjs") == ["a.test.mjs"]
    moved = FILE.replace("N = 1\n", "") + "N = 1\n"
    assert weakened(FILE, moved, PATH) == [f"{PATH}::the order of what stands in it"]


async def test_a_test_that_needs_what_the_work_lacks_fails_and_is_not_refused(over_trees: OverTrees) -> None:
    """A file that cannot be loaded tells of itself; no test of it was taken away."""
    lacks = OLD.replace("import double", "import double, halve") + TWO.replace(
        "double(2) == 4", "halve(4) == 2"
    )
    result, model = await _write(
        over_trees, step(("edit", {"path": "tests/test_calc.py", "old": OLD, "new": lacks})), DONE
    )
    assert len(model.requests) == 2
    assert result.verdict == "failed"
    assert "cannot import name 'halve'" in result.summary
