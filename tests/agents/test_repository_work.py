"""A coder and a debugger that work in a repository: what becomes of what they changed."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from agents.roles.coder import CoderAgent
from agents.roles.debugger import DebuggerAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.sdk.workplace import Workplace
from contracts.base.errors import AgentFailure, InvalidInput
from contracts.base.paths import EVERYWHERE
from contracts.documents.reports import TestCase, TestReport
from contracts.ports.text_form import in_text
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import NO_ENVIRONMENT, FolderEntry, Workspace, Workspaces
from tests.agents.over_trees import LIMITS, OverTrees
from tests.agents.support import ScriptedModel, TaskMaker
from tests.agents.test_shipped import FAILING

FILES = {
    "src/app.py": b"def double(x):\r\n    return x + x + 1\r\n",
    "src/data.bin": b"\0\1\2",
    "tests/test_app.py": b"from src.app import double\n\n\ndef test_two():\n    assert double(2) == 4\n",
    ".gitignore": b"*.log\n",
}


def step(*calls: tuple[str, dict[str, Any]]) -> str:
    named = [{"tool": tool, "arguments": arguments} for tool, arguments in calls]
    return json.dumps({"thought": "so", "calls": named})


def run(command: str) -> str:
    return step(("run", {"command": command}))


MEND = step(("edit", {"path": "src/app.py", "old": "x + x + 1", "new": "x + x"}))
DONE = step(("finish", {"summary": "mended"}))


async def work(over_trees: OverTrees, *answers: str, agent: Any = CoderAgent, **fields: Any) -> AgentResult:
    """What an agent makes of these answers, in a repository of which it may write `src/`."""
    reports = {"test": FAILING.model_dump(mode="json")}
    maker = TaskMaker(ScriptedModel(*answers), over_trees)
    task = maker(base=BaseTree(FILES, reports, {"tests/test_app.py": "tester"}), writable=["src/"], **fields)
    assert task.workplace is not None
    async with task.workplace:
        result: AgentResult = await agent().run(task)
    return result


async def test_what_it_changed_is_the_outcome_to_the_byte(over_trees: OverTrees) -> None:
    result = await work(
        over_trees, run("python -m pytest -q tests || true"), MEND, run("rm src/data.bin"), DONE
    )
    assert result.files == {"src/app.py": b"def double(x):\r\n    return x + x\r\n", "src/data.bin": None}
    assert result.summary == "mended"


class FullWorkspaces:
    """The first workspace that it opens cannot list folders."""

    def __init__(self, usual: Workspaces) -> None:
        self._usual = usual
        self.opened: list[TreeBase] = []

    async def offered(self) -> bool:
        return await self._usual.offered()

    async def open(self, base: TreeBase, *more: Any, brief: bool = False) -> Any:
        self.opened.append(base)
        found = await self._usual.open(base, *more, brief=brief)
        return FullWorkspace(found) if len(self.opened) == 1 else found


class FullWorkspace:
    def __init__(self, usual: Workspace) -> None:
        self._usual = usual

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)

    async def list(self, path: str = "") -> tuple[FolderEntry, ...]:
        raise InvalidInput(f"list {path!r}: Too many open files")


async def test_what_was_done_is_not_lost_with_a_workspace_that_serves_no_more(over_trees: OverTrees) -> None:
    task = TaskMaker(ScriptedModel(MEND, DONE), over_trees)(base=BaseTree(FILES), writable=["src/"])
    assert task.workplace is not None
    workspaces = FullWorkspaces(over_trees.workspaces)
    place = Workplace(workspaces, over_trees.commits, LIMITS, lambda: nullcontext(NO_ENVIRONMENT))
    async with place:
        result = await CoderAgent().run(replace(task, workplace=place))
    assert result.files == {"src/app.py": b"def double(x):\r\n    return x + x\r\n"}
    assert [bool(base.tree) for base in workspaces.opened] == [False, True]


async def test_what_it_may_not_write_is_left_out_and_named(over_trees: OverTrees) -> None:
    made = "cd src; echo 1 > new.py; echo 2 > x.log; echo 3 > ../other.txt"
    result = await work(over_trees, run(f"{made}; mkdir __pycache__; cp data.bin __pycache__"), DONE)
    assert result.files == {"src/new.py": b"1\n"}
    assert result.summary == "mended (left out, as they may not be written: other.txt)"


@pytest.mark.parametrize("target", ["/etc/passwd", "data.bin", "nowhere"])
async def test_links_are_left_out(over_trees: OverTrees, target: str) -> None:
    result = await work(over_trees, MEND, run(f"ln -s {target} src/link.txt"), DONE)
    assert list(result.files) == ["src/app.py"]
    assert "src/link.txt" in result.summary


async def test_a_debugger_sees_the_failure_and_leaves_tests_alone(over_trees: OverTrees) -> None:
    bend = step(("edit", {"path": "tests/test_app.py", "old": "== 4", "new": "== 5"}))
    model = ScriptedModel(bend, MEND, DONE)
    maker = TaskMaker(model, over_trees)
    reports = {"test": FAILING.model_dump(mode="json")}
    base = BaseTree(FILES, reports, {"tests/test_app.py": "tester"})
    task = maker(base=base, writable=["src/", "tests/"], role="debugger", dependencies=["test"])
    assert task.workplace is not None
    async with task.workplace:
        result = await DebuggerAgent().run(task)
    assert list(result.files) == ["src/app.py"]
    assert "assert 6 == 4" in model.requests[0].messages[0].text
    assert (
        "'tests/test_app.py' is a tester's and stays as it is" in in_text(model.requests[1]).messages[-1].text
    )


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ([DONE], "nothing_changed", "nothing was changed, and the end was: mended"),
        ([step(("give_up", {"reason": "freezegun is missing"}))], "gave_up", "freezegun is missing"),
        ([run("rm -rf .git"), DONE], "no_status", "git status: "),
    ],
)
async def test_ends_without_a_result(over_trees: OverTrees, answers: list[str], code: str, says: str) -> None:
    with pytest.raises(AgentFailure, match=says) as failure:
        await work(over_trees, *answers)
    assert failure.value.code == code


async def test_a_fix_that_changes_nothing_is_not_asked_again(over_trees: OverTrees) -> None:
    with pytest.raises(AgentFailure, match="nothing was changed") as caught:
        await work(over_trees, DONE, agent=DebuggerAgent, role="debugger")
    assert not caught.value.retryable


WANTED = step(("needs_plan", {"reason": "two parts", "found": "src and tests"}))
TWO = "tests/test_app.py::test_two"
WRONG = step(("contest", {"tests": [TWO], "reason": "the request says 5"}))


async def test_a_fix_may_contest_a_test_instead(over_trees: OverTrees) -> None:
    report = FAILING.model_copy(update={"results": (FAILING.results[0].model_copy(update={"test_id": TWO}),)})
    unknown = step(("contest", {"tests": [f"{TWO}[1]"], "reason": "the request says 5"}))
    model = ScriptedModel(unknown, WRONG)
    base = BaseTree(FILES, {"test": report.model_dump(mode="json")}, {"tests/test_app.py": "tester"})
    task = TaskMaker(model, over_trees)(base=base, role="debugger", dependencies=["test"], writable=["src/"])
    assert task.workplace is not None
    async with task.workplace:
        result = await DebuggerAgent().run(task)
    told = in_text(model.requests[1]).messages[-1].text
    assert f"{TWO}[1]' is no id of a test that failed; these are: {TWO}" in told
    assert result.contested is not None
    assert (result.contested.tests, result.files) == ((TWO,), {})
    assert result.summary == "contests tests/test_app.py::test_two: the request says 5"


async def test_the_fix_of_a_review_is_not_offered_to_contest_tests(over_trees: OverTrees) -> None:
    finding = {"severity": "major", "path": "src/app.py", "message": "wrong"}
    review = {"schema_version": "1.0", "approved": False, "summary": "no", "findings": [finding]}
    model = ScriptedModel(MEND, DONE)
    base = BaseTree(FILES, {"review": review})
    task = TaskMaker(model, over_trees)(
        base=base, role="debugger", dependencies=["review"], writable=["src/"]
    )
    assert task.workplace is not None
    async with task.workplace:
        await DebuggerAgent().run(task)
    offered = {tool.name for tool in model.requests[0].tools}
    assert "contest" not in offered
    assert "blame_environment" in offered


@pytest.mark.parametrize(
    ("writable", "after", "offered"),
    [("src/", [], False), (EVERYWHERE, [], True), (EVERYWHERE, ["a"], False)],
)
async def test_only_who_has_the_whole_request_may_ask_for_a_plan(
    over_trees: OverTrees, writable: str, after: list[str], offered: bool
) -> None:
    model = ScriptedModel(WANTED, MEND, DONE)
    task = TaskMaker(model, over_trees)(base=BaseTree(FILES), writable=[writable], dependencies=after)
    assert task.workplace is not None
    async with task.workplace:
        result = await CoderAgent().run(task)
    assert ("needs_plan" in {tool.name for tool in model.requests[0].tools}) == offered
    assert (result.plan_wanted is not None) == offered
    assert (result.plan_wanted and result.plan_wanted.found) == ("src and tests" if offered else None)


CODERS = BaseTree(
    {**FILES, "tests/test_app.py": FILES["tests/test_app.py"].replace(b"4", b"5")},
    authors={"tests/test_app.py": "tester"},
)


async def _contests(over_trees: OverTrees, *answers: str) -> tuple[AgentResult, ScriptedModel]:
    model = ScriptedModel(*answers)
    task = TaskMaker(model, over_trees)(base=CODERS, writable=["src/"])
    assert task.workplace is not None
    async with task.workplace:
        return await CoderAgent().run(task), model


async def test_a_coder_contests_a_testers_test_and_its_work_is_kept(over_trees: OverTrees) -> None:
    result, model = await _contests(over_trees, MEND, WRONG)
    assert result.files == {"src/app.py": b"def double(x):\r\n    return x + x\r\n"}
    assert result.contested is not None
    assert result.contested.tests == (TWO,)
    assert isinstance(result.report, TestReport)
    assert [case.message for case in result.report.results] == ["assert 4 == 5"]
    assert "contest" in {tool.name for tool in model.requests[0].tools}


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("src/app.py::double", "is no id of a test that is there"),
        ("tests/none.py::test_x", "is no id of a test that is there"),
        ("src/test_own.py::test_x", "is a file that you may write: correct the test yourself"),
        (f"{TWO}x", "does not fail with your changes"),
    ],
)
async def test_a_coder_contests_what_fails_and_is_not_its_own(
    over_trees: OverTrees, test: str, why: str
) -> None:
    base = BaseTree({**CODERS.files, "src/test_own.py": b"def test_x():\n    pass\n"}, {}, CODERS.authors)
    model = ScriptedModel(step(("contest", {"tests": [test], "reason": "no"})), MEND, DONE)
    task = TaskMaker(model, over_trees)(base=base, writable=["src/"])
    assert task.workplace is not None
    async with task.workplace:
        await CoderAgent().run(task)
    assert why in in_text(model.requests[1]).messages[-1].text


REPORTS = {"test": FAILING.model_dump(mode="json")}


@pytest.mark.parametrize("before", [b"def double(x):\r\n    return x + x\r\n", b"other\n"])
async def test_a_change_that_did_not_pass_before_ends_the_fix(over_trees: OverTrees, before: bytes) -> None:
    """However it is written: here by a command, and before that by an edit."""
    judged = over_trees.commit({**FILES, "src/app.py": before})
    base = BaseTree(FILES, REPORTS, mended=(judged,))
    model = ScriptedModel(run("sed -i 's/ + 1//' src/app.py"), DONE)
    task = TaskMaker(model, over_trees)(base=base, role="debugger", dependencies=["test"], writable=["src/"])
    assert task.workplace is not None
    async with task.workplace:
        if before == b"other\n":
            assert list((await DebuggerAgent().run(task)).files) == ["src/app.py"]
            return
        with pytest.raises(AgentFailure, match=r"the same change again: .* mended") as caught:
            await DebuggerAgent().run(task)
    assert (caught.value.code, caught.value.retryable) == ("same_change", False)


async def test_a_debugger_is_shown_whole_tracebacks_each_kind_once(over_trees: OverTrees) -> None:
    def case(number: int, message: str) -> TestCase:
        trace = f"tests/test_app.py:{number}: in test\nE   {message}"
        name = f"t::test_{number}" if number < 4 else f"t::test_3[{number}]"
        return TestCase(test_id=name, outcome="failed", message=message, traceback=trace)

    cases = tuple(case(number, message) for number, message in enumerate(("one", "one", "two", "three"), 1))
    report = FAILING.model_copy(update={"results": cases})
    model = ScriptedModel(MEND, DONE)
    base = BaseTree(FILES, {"test": report.model_dump(mode="json")})
    task = TaskMaker(model, over_trees)(base=base, role="debugger", dependencies=["test"], writable=["src/"])
    assert task.workplace is not None
    async with task.workplace:
        await DebuggerAgent().run(task)
    text = model.requests[0].messages[0].text
    assert "tests/test_app.py:1: in test\nE   one" in text
    assert "tests/test_app.py:3: in test\nE   two" in text
    assert "tests/test_app.py:2: in test" not in text
    assert "t::test_3[4]\nE   three" in text
    assert "(1 more are left out)" in text


async def test_of_what_is_written_for_people_the_beginning_is_sent_with_every_step(
    over_trees: OverTrees,
) -> None:
    long = "# Contributing\n\nRun tox.\n" + "Be kind.\n" * 400 + "## Releases\n\nNobody else does.\n"
    model = ScriptedModel(MEND, DONE)
    base = BaseTree({**FILES, "CONTRIBUTING.md": long.encode(), "src/AGENTS.md": b"Short lines.\n" * 400})
    task = TaskMaker(model, over_trees)(base=base, writable=["src/"])
    assert task.workplace is not None
    async with task.workplace:
        await CoderAgent().run(task)
    text = model.requests[0].messages[0].text
    assert "Run tox." in text
    assert "Nobody else does." not in text
    assert "more characters; `read` them where they concern you, about: Releases\n```" in text
    assert text.count("Short lines.") == 400, "what is written for agents stays whole"
