"""What a person can do about the reasons that `explain` gives. Pure but for the name of the program."""

from __future__ import annotations

from dataclasses import replace

from contracts.base.processes.command_lines import command_line
from orchestrator.core.state import Workflow
from orchestrator.diagnosis.explain import Reason


def with_remedies(
    workflow_id: str, workflow: Workflow | None, reasons: list[Reason], *, workers_can_join: bool
) -> list[Reason]:
    """The reasons, each with the command that does something about it where there is one.

    workers_can_join: whether a worker that is started by itself finds the bus.
    """
    unserved = any(reason.code == "no_orchestrator" for reason in reasons)

    def remedy(reason: Reason) -> str:
        match reason.code:
            case "no_orchestrator":
                return command_line("up")
            case "approval" | "answer" if reason.task_id is not None:
                show = command_line("answer", workflow_id, reason.task_id, "--show")
                is_asked = reason.code == "answer"
                return show if is_asked else command_line("approve", workflow_id, reason.task_id)
            case "blocked" | "budget":
                more = ("budget", "raise", workflow_id, "USD")
                return command_line(*(more if reason.code == "budget" else ("retry", workflow_id)))
            case "no_worker" if workers_can_join and not unserved and workflow and reason.task_id:
                role = workflow.tasks[reason.task_id].item.agent_role
                return command_line("worker", "--role", role)
            case "unknown":
                return command_line("events", workflow_id)
            case _:
                return ""

    return [replace(reason, do=remedy(reason)) for reason in reasons]
