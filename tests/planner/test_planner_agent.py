"""The planner as an agent: what it plans is in parts, since its request was one agent's already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agents.sdk.base_tree import BaseTree
from agents.sdk.baselines import save_baseline
from artifacts import create_store, open_store
from contracts.base.paths import EVERYWHERE
from contracts.documents.baseline import Baseline
from contracts.documents.todo_list import TodoList
from contracts.ports.code_index import RepositoryMap
from multi_agent.bootstrap.planner_agent import PlannerAgent
from tests.agents.support import ScriptedModel, TaskMaker
from tests.orchestrator.plans import item, plan

CHECK = item("check", "a", role="tester", output_artifacts=("tests/",))


class Mapped:
    """An index of a repository with one file."""

    async def map(self, commit: str, request: str, *, tokens: int = 0) -> RepositoryMap:
        return RepositoryMap(("a.py",), "a.py\n     1 x = 1")


async def test_a_plan_with_a_task_that_writes_everything_is_sent_back() -> None:
    answers = [plan(item("a", output_artifacts=outputs), CHECK) for outputs in ((EVERYWHERE,), ("a.py",))]
    model = ScriptedModel(*map(TodoList.model_dump_json, answers))
    result = await PlannerAgent().run(TaskMaker(model)(role="planner", task_id="change.plan"))
    assert "name the files and folders of its part" in model.requests[1].messages[-1].text
    assert result.plan is not None
    assert result.plan.items[0].output_artifacts == ("a.py",)


async def test_it_is_shown_the_map_what_was_found_and_what_the_tests_said(tmp_path: Path) -> None:
    store = open_store(str(create_store(tmp_path / "store.git")), tmp_path / "cache")
    model = ScriptedModel(plan(item("a", output_artifacts=("a.py",)), CHECK).model_dump_json())
    found = "two parts\n\na.py has one"
    task = TaskMaker(model)(role="planner", description=found, base=BaseTree({"a.py": b"x = 1\n"}))
    bad = {"test": "tests/test_a.py::test_bad", "error": "AssertionError"}
    counts = {"counted": True, "found": 8, "passed": 7, "failed": 1, "failing": (bad,)}
    known = {"tree": "a" * 40, "environment": "b" * 64, "command": "pytest", "state": "ran", **counts}
    await save_baseline(store, "w1", Baseline.model_validate(known))
    request = task.request.model_copy(update={"base_commit": "c" * 40})
    await PlannerAgent().run(replace(task, request=request, commits=store, index=Mapped()))
    await store.close()
    text = model.requests[0].messages[0].text
    asked = text.partition("The request:")[0]
    for shown in (
        '"a.py",\n  "     1 x = 1"',
        '"before any work: 7 passed, 1 failed',
        '"failed then, too: tests/test_a.py::test_bad"',
        '"two parts",\n "",\n "a.py has one"',
    ):
        assert shown in asked
