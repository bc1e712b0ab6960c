"""`from agents import ArchitectAgent, CoderAgent, TesterAgent`: agents called directly."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from agents import ArchitectAgent, CoderAgent, TesterAgent
from contracts.base.errors import AgentFailure, InvalidDocument, InvalidInput, ModelUnavailable
from contracts.documents.todo_list import TodoItem
from planner_service import PlannerService
from tests.agents.support import ScriptedModel, code, contract

TASK: dict[str, Any] = {
    "description": "Double a number",
    "output_artifacts": ["codes/x.py", "tests/test_x.py"],
}
CODE = "def double(n):\n    return 2 * n\n"
TEST = "from codes.x import double\n\n\ndef test_double():\n    assert double(2) == 4\n"


def test_the_recorded_example_as_written(tmp_path: Path) -> None:
    request = "Create a simple SMA crossover strategy"
    with chdir(tmp_path):
        items = {item["task_id"]: item for item in PlannerService().create_plan(request)["items"]}
        made = ArchitectAgent().generate_contract(items["contract"], request=request)
        assert made["contract_id"] == "sma-crossover"
        artifacts: dict[str, str] = {}
        for task_id in ("averages", "strategy"):
            written = CoderAgent().generate_code(made, items[task_id], request=request)
            artifacts |= {file["path"]: file["content"] for file in written["files"]}
        report = TesterAgent().run_tests(items["tests"], artifacts, contract=made, request=request)
    assert (report["summary"]["passed"], report["summary"]["failed"]) == (8, 2)
    assert report["passed"] is False


def test_one_task_goes_through_all_three() -> None:
    model = ScriptedModel(contract("test_double"), code(codes__x=CODE, tests__test_x=TEST))
    made = ArchitectAgent(model).generate_contract(TASK)
    artifacts = CoderAgent(model).generate_code(made, TASK)
    assert [file["path"] for file in artifacts["files"]] == ["codes/x.py", "tests/test_x.py"]
    report = TesterAgent(model).run_tests(TASK, artifacts)
    assert report["summary"] == {"passed": 1, "failed": 0, "skipped": 0, "coverage_percent": 100.0}
    purposes = [request.purpose for request in model.requests]
    assert purposes == ["architect.Contract", "coder.CodeArtifacts"]
    assert '"contract_id": "sma"' in model.requests[1].messages[0].text


def test_tests_that_are_not_there_are_written_first() -> None:
    model = ScriptedModel(code(tests__test_x=TEST))
    task = TodoItem(task_id="t", title="Test it", agent_role="tester", output_artifacts=("tests/",))
    report = TesterAgent(model).run_tests(task, {"codes/x.py": CODE})
    assert report["summary"]["passed"] == 1
    assert model.requests[0].purpose == "tester.CodeArtifacts"


def test_a_coders_files_do_not_steer_the_tests() -> None:
    steering = "import pytest\n@pytest.fixture(autouse=True)\ndef skip():\n    pytest.skip()\n"
    wrong = CODE.replace("2 * n", "3 * n")
    task = TASK | {"output_artifacts": ["codes/x.py", "tests/"]}
    written = code(codes__x=wrong, tests__test_x=TEST, tests__conftest=steering)
    artifacts = CoderAgent(ScriptedModel(written)).generate_code(_contract(), task)
    assert TesterAgent(ScriptedModel()).run_tests(task, artifacts)["summary"]["failed"] == 1


def _contract() -> dict[str, Any]:
    made: dict[str, Any] = ArchitectAgent(ScriptedModel(contract("test_double"))).generate_contract(TASK)
    return made


def test_mistakes_are_named() -> None:
    coder = CoderAgent(ScriptedModel())
    with pytest.raises(InvalidInput, match="task is a str; give a TodoItem, or a dict of its fields"):
        coder.generate_code(_contract(), "double")
    with pytest.raises(InvalidDocument, match=r"\$\.output: unknown field"):
        coder.generate_code(_contract(), {"output": ["x.py"]})
    with pytest.raises(InvalidDocument, match=r"\$\.interfaces: required field is missing"):
        coder.generate_code({"contract_id": "c"}, TASK)
    with pytest.raises(InvalidInput, match="artifacts is a list; give what generate_code gave"):
        TesterAgent(ScriptedModel()).run_tests(TASK, [])
    with pytest.raises(InvalidInput, match="there is no option 'modle'"):
        ArchitectAgent(modle="replay")


def test_errors_of_agent_and_model_arrive() -> None:
    with pytest.raises(AgentFailure, match="there is nothing to run"):
        TesterAgent(ScriptedModel()).run_tests({"description": "x"}, {"codes/x.py": CODE})
    with pytest.raises(ModelUnavailable, match="overloaded"):
        ArchitectAgent(ScriptedModel(ModelUnavailable("overloaded"))).generate_contract(TASK)
