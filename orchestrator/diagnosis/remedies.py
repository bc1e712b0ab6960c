"""What a person can do about the reasons that `explain` gives. Pure but for the name of the program."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from contracts.base.processes.command_lines import command_line
from orchestrator.core.budgets import short_of
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
        words: tuple[str, ...] = ()
        match reason.code:
            case "no_orchestrator":
                words = ("up",)
            case "approval" if reason.task_id is not None:
                words = ("approve", workflow_id, reason.task_id)
            case "answer" if reason.task_id is not None:
                words = ("answer", workflow_id, reason.task_id, "--show")
            case "blocked":
                words = ("retry", workflow_id)
            case "budget" if workflow and reason.task_id:
                return budget_command(workflow_id, short_of(workflow, workflow.tasks[reason.task_id]))
            case "no_worker" if workers_can_join and not unserved and workflow and reason.task_id:
                words = ("worker", "--role", workflow.tasks[reason.task_id].item.agent_role)
            case "unknown":
                words = ("events", workflow_id)
        return command_line(*words) if words else ""

    return [replace(reason, do=remedy(reason)) for reason in reasons]


def budget_command(workflow_id: str, short: Collection[str]) -> str:
    """The command for a task that waits for its budget. short: see `short_of`."""
    if not short:
        return command_line("cancel", workflow_id)
    usd, tokens = ("USD",) * ("USD" in short), ("--tokens", "N") * ("tokens" in short)
    return command_line("budget", "raise", workflow_id, *usd, *tokens)
