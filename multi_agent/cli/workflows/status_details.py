"""One workflow with its tasks, as `multi-agent status WORKFLOW` shows it."""

from __future__ import annotations

from typing import Final

from contracts.base.printing import print_line
from contracts.base.processes.command_lines import command_line
from contracts.base.refs import branch_name
from contracts.base.text import flowing
from multi_agent.application.status import WorkflowDetails
from multi_agent.cli.decisions.action_text import print_waiting
from multi_agent.cli.served_text import status_word, unserved_text
from multi_agent.cli.tables import Terminal
from multi_agent.cli.workflows.offer_text import offer_lines
from multi_agent.cli.workflows.screen import TASK_COLUMNS, task_rows

_PERSON: Final = "waiting for a person"


def print_details(details: WorkflowDetails) -> None:
    """Print the workflow, a table of its tasks, and what an operator can do about it."""
    view, header = details.view, details.view.header
    reason = f"  {flowing(header.reason)}" if header.reason else ""
    word = _PERSON if view.stands_still else status_word(header, served=details.served)
    print_line(f"{header.workflow_id}  {word}{reason}")
    Terminal().print_table(TASK_COLUMNS, task_rows(view))
    if header.result_commit:
        print_line(f"result {header.result_commit[:12]} on {branch_name(header.workflow_id)}")
    for line in offer_lines(details.offered) if details.offered else ():
        print_line(line.removeprefix("  "))
    print_waiting(details.waiting)
    for one in details.dead_letters:
        command = command_line("dead-letters", "show", str(one.dead_letter_id))
        print_line(f"dead-lettered: {one.task_id}; {command}")
    if not details.served and not header.status.terminal:
        print_line(unserved_text())
