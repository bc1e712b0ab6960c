"""The planner as an agent: what it plans is in parts, since its request was one agent's already."""

from __future__ import annotations

from contracts.base.paths import EVERYWHERE
from contracts.documents.todo_list import TodoList
from multi_agent.bootstrap.planner_agent import PlannerAgent
from tests.agents.support import ScriptedModel, TaskMaker
from tests.orchestrator.plans import item, plan


async def test_a_plan_with_a_task_that_writes_everything_is_sent_back() -> None:
    check = item("check", "a", role="tester", output_artifacts=("tests/",))
    answers = [plan(item("a", output_artifacts=outputs), check) for outputs in ((EVERYWHERE,), ("a.py",))]
    model = ScriptedModel(*map(TodoList.model_dump_json, answers))
    result = await PlannerAgent().run(TaskMaker(model)(role="planner", task_id="change.plan"))
    assert "name the files and folders of its part" in model.requests[1].messages[-1].text
    assert result.plan is not None
    assert result.plan.items[0].output_artifacts == ("a.py",)
