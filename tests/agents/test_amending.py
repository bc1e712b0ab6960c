"""Contested tests are looked at by the request, without the code; no other changes, none gets weak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agents.loop.ends import BlameEnvironment, Contest
from agents.roles.asked_ends import AskedEnds, Changed, contestable
from agents.roles.checks.amending import OnBase
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.tools.tool import ToolRefused
from contracts.base.errors import AgentFailure
from tests.agents.over_trees import OverTrees
from tests.agents.support import ScriptedModel, TaskMaker, code

CODE = "def double(x):\n    return 2 * x  # nobody is shown this\n"
RIGHT = "from calc import double\n\n\ndef test_two():\n    assert double(2) == 4\n\n\n"
WRONG = RIGHT + "def test_three():\n    assert double(3) == 7\n"
MENDED = WRONG.replace("7", "6")
WEAK = WRONG.replace("double(3) == 7", "True")
BESIDE = MENDED.replace("double(2)", "double(1) + double(1)")
TEST = "tests/test_calc.py::test_three"
REPORT = {"passed": False, "results": [{"test_id": TEST, "outcome": "failed", "message": "assert 6 == 7"}]}


def ends(task: Task) -> AskedEnds:
    """Ends of an agent that has changed nothing."""

    async def nothing() -> Changed:
        return Changed({})

    return AskedEnds(task, nothing)


async def _amended(
    over: OverTrees, *answers: str, reports: dict[str, Any] | None = None
) -> tuple[AgentResult, ScriptedModel]:
    model = ScriptedModel(*(code(tests__test_calc=text) for text in answers))
    files = {"calc.py": CODE.encode(), "tests/test_calc.py": WRONG.encode()}
    task = TaskMaker(model=model)(
        role="tester",
        task_id="test.amend1",
        cycle=1,
        writable=["tests/test_calc.py"],
        description="it says 7",
        acceptance_criteria={"tests": [{"cmd": f"pytest {TEST}"}]},
        base=BaseTree(files, reports or {"test": REPORT}),
    )
    return await TesterAgent().run(over.give(task, {"calc.py": b"def double(x):\n    return 0\n"})), model


async def test_a_wrong_test_is_corrected_by_the_request_alone(over_trees: OverTrees) -> None:
    result, model = await _amended(over_trees, WEAK, BESIDE, MENDED)
    assert result.files == {"tests/test_calc.py": MENDED}
    first, second, third = ["".join(one.text for one in asked.messages) for asked in model.requests]
    assert "nobody is shown this" not in third
    for word in ("it says 7", "assert 6 == 7", "Create a moving average", "def test_three"):
        assert word in first, word
    assert f"without the work these tests failed, and now they pass: {TEST}" in second
    assert "not contested and stay as they are: tests/test_calc.py::test_two" in third


async def test_a_corrected_test_takes_no_other_away(over_trees: OverTrees) -> None:
    hides = MENDED.replace(
        "def test_three", "@(lambda test: vars().pop('test_two') and test)\ndef test_three"
    )
    result, model = await _amended(over_trees, hides.replace("vars()", "test.__globals__"), MENDED)
    assert result.files == {"tests/test_calc.py": MENDED}
    told = "".join(one.text for one in model.requests[1].messages)
    assert "tests that are there run no more: tests/test_calc.py::test_two" in told


async def test_contested_tests_run_on_the_base_as_they_were_once() -> None:
    ran: list[bytes] = []

    async def failing(files: Mapping[str, bytes]) -> set[str]:
        ran.append(files["tests/test_calc.py"])
        return set() if files["tests/test_calc.py"] == WEAK.encode() else {TEST}

    base, files = OnBase(failing), {"tests/test_calc.py": WRONG.encode()}
    assert await base.now_passing(files, {"tests/test_calc.py": WRONG}) == []
    assert ran == []
    assert await base.now_passing(files, {"tests/test_calc.py": WEAK}) == [TEST]
    assert await base.now_passing(files, {"tests/test_calc.py": MENDED}) == []
    assert ran == [WRONG.encode(), WEAK.encode(), MENDED.encode()]


async def test_a_test_that_is_right_stays(over_trees: OverTrees) -> None:
    result, _ = await _amended(over_trees, WRONG)
    assert result.files == {}
    assert result.summary.startswith("the tests stay: ")


@pytest.mark.parametrize(("first", "old"), [(RIGHT, False), (WRONG, True)])
async def test_whose_test_it_is_depends_on_what_was_there(
    over_trees: OverTrees, first: str, old: bool
) -> None:
    task = TaskMaker()(role="debugger", base=BaseTree({"tests/test_calc.py": WRONG.encode()}))
    task = over_trees.give(task, {"tests/test_calc.py": first.encode()})
    result = await ends(task).result(Contest(tests=(TEST,), reason="wrong"))
    assert result.contested is not None
    assert (result.contested.tests, result.contested.of_repository) == ((TEST,), old)


BESIDE_TEST = "tests/test_calc.py::test_two[q[zz]]"


@pytest.mark.parametrize(("start", "old"), [(WRONG, True), ("x = 1\n", False), (None, False)])
async def test_parameters_do_not_hide_whose_test_it_is(
    over_trees: OverTrees, start: str | None, old: bool
) -> None:
    task = TaskMaker()(role="debugger", base=BaseTree({"tests/test_calc.py": WRONG.encode()}))
    first = {"calc.py": b""} if start is None else {"tests/test_calc.py": start.encode()}
    asked = Contest(tests=(BESIDE_TEST,), reason="wrong")
    result = await ends(over_trees.give(task, first)).result(asked)
    assert result.contested is not None
    assert result.contested.of_repository == old


def _fix(report: dict[str, Any] | None = None) -> Task:
    """The fix of what a tester, or a review, found."""
    files = {"tests/test_calc.py": WRONG.encode(), "calc.py": b""}
    judged = {
        "judge": report or REPORT,
        "other": {**REPORT, "results": [_bad("tests/test_calc.py::test_four")]},
    }
    return TaskMaker()(role="debugger", dependencies=["judge"], base=BaseTree(files, judged))


def _bad(test: str, outcome: str = "failed") -> dict[str, str]:
    return {"test_id": test, "outcome": outcome}


async def test_what_failed_where_it_is_judged_may_be_contested() -> None:
    others = ("pytest tests", "calc.py::double", "tests/none.py::test_x", f"{TEST}[{chr(39) * 200}]")
    listed = [_bad(TEST), _bad(BESIDE_TEST, "error"), _bad("tests/test_calc.py::test_ok", "passed")]
    fix = _fix({"passed": False, "results": [*listed, *map(_bad, others)]})
    assert contestable(fix) == (TEST, BESIDE_TEST)
    await ends(fix).check(Contest(tests=(TEST, BESIDE_TEST), reason="wrong"))
    assert contestable(_fix({"passed": True, "results": listed})) == ()
    assert contestable(_fix({"approved": False, "summary": "no", "findings": []})) == ()


@pytest.mark.parametrize("name", ["test_three", "tests/test_calc.py::test_four", f"{TEST}[1]"])
async def test_what_did_not_fail_is_not_contested_and_what_did_is_named(name: str) -> None:
    with pytest.raises(ToolRefused, match=f"is no id of a test that failed; these are: {TEST}"):
        await ends(_fix()).check(Contest(tests=(TEST, name), reason="wrong"))


async def test_what_the_contested_tests_said_is_shown_and_no_other_testers_failure(
    over_trees: OverTrees,
) -> None:
    other = {"passed": False, "results": [_bad("tests/test_z.py::test_z")]}
    last = {"passed": False, "results": [{**_bad(TEST), "message": "assert 6 == 8"}]}
    retests = {"test.retest2": REPORT, "test.retest10": last, "zz": other}
    _, model = await _amended(over_trees, WRONG, reports={"test": other, **retests})
    text = "".join(one.text for one in model.requests[0].messages)
    assert "assert 6 == 8" in text
    assert "test_z" not in text


async def test_an_environment_at_fault_is_an_end_that_is_not_tried_again() -> None:
    with pytest.raises(AgentFailure, match="the environment is at fault: no database") as caught:
        await ends(TaskMaker()()).result(BlameEnvironment(reason="no database"))
    assert (caught.value.code, caught.value.retryable) == ("environment", False)
