"""`from orchestrator import Orchestrator`: create a workflow, execute it, get what it made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import InvalidInput, NotConfigured
from multi_agent.facade.orchestrator import Orchestrator as Typed
from orchestrator import Orchestrator

PLAN: dict[str, Any] = {
    "schema_version": "1.0",
    "todo_list_id": "plan-1",
    "request": "Write x",
    "items": [
        {
            "task_id": "code",
            "title": "Write x",
            "agent_role": "coder",
            "output_artifacts": ["codes/x.py"],
        },
        {"task_id": "test", "title": "Test x", "agent_role": "tester", "dependencies": ["code"]},
    ],
}


def write_plan(folder: Path, **changes: Any) -> str:
    plan = PLAN | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{plan['todo_list_id']}.json").write_text(json.dumps(plan))
    return str(plan["todo_list_id"])


@pytest.fixture
def orchestrator(tmp_path: Path) -> Iterator[Typed]:
    options = {"data_dir": tmp_path / "data", "model": "replay", "workers": 1}
    made = Orchestrator(plans_dir=tmp_path / "plans", agents=["tests.facade.hands"], **options)
    with made:
        yield made


def test_a_workflow_is_created_executed_and_gives_its_artifacts(orchestrator: Typed, tmp_path: Path) -> None:
    workflow_id = orchestrator.create_workflow(write_plan(tmp_path / "plans"))
    with pytest.raises(InvalidInput, match="execute_workflow completes it"):
        orchestrator.get_artifacts(workflow_id)

    state = orchestrator.execute_workflow(workflow_id)
    assert (state["workflow_id"], state["status"]) == (workflow_id, "completed")
    assert {name: task["status"] for name, task in state["tasks"].items()} == {
        "code": "completed",
        "test": "completed",
    }
    assert orchestrator.execute_workflow(workflow_id) == state
    beginning = workflow_id[:-2]
    assert orchestrator.execute_workflow(beginning) == state
    assert orchestrator.get_artifacts(beginning).branch == f"ai/generated/{workflow_id}/result"

    artifacts = orchestrator.get_artifacts(workflow_id)
    assert "codes/x.py" in artifacts
    assert artifacts["codes/x.py"] == "x = 1\n"
    assert artifacts["test_report.json"]["summary"] == {
        "passed": 1,
        "failed": 0,
        "skipped": 1,
        "coverage_percent": None,
    }
    assert list(artifacts) == ["codes/x.py", "test_report.json"]
    assert artifacts.files == {"codes/x.py": b"x = 1\n"}
    assert artifacts.reports == {"test": artifacts["test_report.json"]}
    assert artifacts.branch == f"ai/generated/{workflow_id}/result"
    assert artifacts.commit


def test_a_person_is_waited_for_by_nobody(orchestrator: Typed, tmp_path: Path) -> None:
    items = [PLAN["items"][0] | {"requires_approval": True}]
    state = orchestrator.execute_workflow(
        orchestrator.create_workflow(write_plan(tmp_path / "plans", items=items))
    )
    assert state["status"] == state["tasks"]["code"]["status"] == "waiting_for_approval"


def test_mistakes_are_named(orchestrator: Typed, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"plan .*absent\.json: No such file.*PlannerService writes it"):
        orchestrator.create_workflow("absent")
    with pytest.raises(InvalidInput, match=r"todo_list_id is a dict; give the plan's id"):
        Orchestrator().create_workflow(PLAN)
    strange = write_plan(tmp_path / "plans", items=[PLAN["items"][0] | {"agent_role": "poet"}])
    with pytest.raises(InvalidInput, match=r"no agent serves the role 'poet' .*agents=\[\.\.\.\]"):
        orchestrator.create_workflow(strange)
    for ask in (orchestrator.execute_workflow, orchestrator.get_artifacts):
        with pytest.raises(InvalidInput, match="nothing-1"):
            ask("nothing-1")
    with pytest.raises(InvalidInput, match=r"there is no option 'datadir'; there are: .*data_dir"):
        Orchestrator(datadir=tmp_path)
    with pytest.raises(NotConfigured, match="MULTI_AGENT_WORKERS"):
        Orchestrator(workers=0)


def test_what_cannot_be_had_is_said_before_anything_starts(tmp_path: Path) -> None:
    write_plan(tmp_path / "plans")
    options = {"data_dir": tmp_path / "data", "model": "gemini:any", "gemini_api_key": ""}
    with Orchestrator(plans_dir=tmp_path / "plans", **options) as orchestrator:
        workflow_id = orchestrator.create_workflow("plan-1")
        with pytest.raises(NotConfigured, match="GEMINI_API_KEY"):
            orchestrator.execute_workflow(workflow_id)
    assert not (tmp_path / "data" / "logs").exists()
