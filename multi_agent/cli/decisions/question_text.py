"""How a question that waits for an answer is shown, and the command that answers it."""

from __future__ import annotations

from contracts.base.printing import print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.waiting import PendingQuestion

TEXT = "TEXT"
"""Stands for the answer in a command."""


def print_question(asked: PendingQuestion) -> None:
    """Print everything that the hash covers, and the hash last."""
    print_line(f"{asked.task_id} ({asked.title}) asks:")
    for line in asked.question.text.splitlines():
        print_line(f"  {line}")
    for number, choice in enumerate(asked.question.choices, 1):
        print_line(f"  {number}. {choice}")
    print_line(f"hash {asked.action_hash}")


def print_waiting_question(asked: PendingQuestion) -> None:
    """Print a question, and the command that answers it."""
    print_line(f"waiting for an answer: {asked.task_id}")
    print_question(asked)
    print_line(f"  answer   {answer_command(asked)}")


def answer_command(asked: PendingQuestion, text: str = TEXT) -> str:
    """The command that answers exactly this question."""
    words, bound = (asked.workflow_id, asked.task_id, text), ("--hash", asked.action_hash)
    return command_line("answer", *((*bound, "--", *words) if text.startswith("-") else (*words, *bound)))
