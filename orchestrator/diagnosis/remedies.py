"""What a person can do about the reasons that `explain` gives. Pure but for the name of the program."""

from __future__ import annotations

from dataclasses import replace

from contracts.base.processes.command_lines import command_line
from contracts.messages.budget import SpendingLimits
from orchestrator.core.budgets import enough_for
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
        task = workflow.tasks.get(reason.task_id or "") if workflow else None
        do = ""
        match reason.code:
            case "no_orchestrator":
                do = command_line("up")
            case "approval" if reason.task_id is not None:
                do = command_line("approve", workflow_id, reason.task_id)
            case "answer" if reason.task_id is not None:
                do = command_line("answer", workflow_id, reason.task_id, "--show")
            case "blocked":
                do = command_line("retry", workflow_id)
            case "budget" if workflow and task:
                do = budget_command(workflow_id, enough_for(workflow, task))
            case "no_worker" if workers_can_join and not unserved and task:
                do = command_line("worker", "--role", task.item.agent_role)
            case "unknown":
                do = command_line("events", workflow_id)
        return do

    return [replace(reason, do=remedy(reason)) for reason in reasons]


def budget_command(workflow_id: str, enough: SpendingLimits | None) -> str:
    """The command for a task that waits for its budget. enough: see `enough_for`."""
    if enough is None:
        return command_line("cancel", workflow_id)
    usd = () if enough.usd is None else (f"{enough.usd:.2f}",)
    tokens = () if enough.tokens is None else ("--tokens", f"{enough.tokens}")
    return command_line("budget", "raise", workflow_id, *usd, *tokens)
