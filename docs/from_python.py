"""From a request to files, from Python. Workers are processes of their own: `multi-agent worker`.

Arguments: the URL of a Redis, and the folder in which plans, state and artifacts are kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

from artifacts import create_store, open_store
from multi_agent.bootstrap import make_model
from multi_agent.settings import load_settings
from orchestrator import Orchestrator
from planner_service import PlannerService


def build(request: str, redis_url: str, folder: Path) -> dict[str, bytes]:
    """The files that a request became; {} when the work failed."""
    with PlannerService(make_model(load_settings()), folder / "plans") as planner:
        plan = planner.create_plan(request)
    store = open_store(str(create_store(folder / "artifacts.git")), folder / "cache")
    database = f"sqlite:///{folder.absolute() / 'state.db'}"
    with Orchestrator(database, redis_url, store, plans_dir=folder / "plans") as orchestrator:
        workflow_id = orchestrator.create_workflow(plan["todo_list_id"])
        state = orchestrator.execute_workflow(workflow_id)
        if state["status"] != "completed":
            return {}
        files: dict[str, bytes] = orchestrator.get_artifacts(workflow_id)["files"]
        return files


if __name__ == "__main__":
    made = build("Create a simple SMA crossover strategy", sys.argv[1], Path(sys.argv[2]))
    print("\n".join(sorted(made)))
