"""From a request to tested files, from Python; what is needed for it is started and stopped."""

from __future__ import annotations

from orchestrator import Orchestrator
from planner_service import PlannerService

plan = PlannerService().create_plan("Create a simple SMA crossover strategy")

orchestrator = Orchestrator()
workflow_id = orchestrator.create_workflow(plan["todo_list_id"])
state = orchestrator.execute_workflow(workflow_id)
for task_id, task in state["tasks"].items():
    print(task_id, task["status"])

artifacts = orchestrator.get_artifacts(workflow_id)
print(*artifacts, sep="\n")
print(artifacts["test_report.json"]["summary"]["passed"], "tests passed")
