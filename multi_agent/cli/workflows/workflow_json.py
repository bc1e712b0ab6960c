"""A workflow as JSON, for programs."""

from __future__ import annotations

from typing import Any

from orchestrator.client.views import WorkflowView
from orchestrator.core.state import TaskState


def workflow_json(view: WorkflowView) -> dict[str, Any]:
    """A workflow with its tasks."""
    return {**view.header._asdict(), "tasks": [_task_json(task) for task in view.tasks]}


def _task_json(task: TaskState) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "title": task.item.title,
        "agent_role": task.item.agent_role,
        "status": task.status.value,
        "verdict": task.verdict,
        "attempt": task.attempt,
        "failures": task.failures,
        "crashes": task.crashes,
        "outages": task.outages,
        "suspect": task.suspect,
        "cycle": task.cycle,
        "dependencies": list(task.dependencies),
        "commit": task.commit,
        "summary": task.summary,
        "tests": task.tests.model_dump() if task.tests else None,
        "review": task.review.model_dump() if task.review else None,
        "error": task.error.model_dump() if task.error else None,
        "question": task.question.model_dump() if task.question else None,
        "usage": task.usage.model_dump(),
        "seconds": task.seconds,
        "sandbox": task.backend,
    }
