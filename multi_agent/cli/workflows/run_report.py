"""What `multi-agent run` prints at its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.approvals import pending_approvals
from multi_agent.application.summary import FinishedRun, Summary
from multi_agent.cli import EXIT_APPROVAL, EXIT_DONE, EXIT_FAILED
from multi_agent.cli.decisions.action_text import print_waiting
from multi_agent.cli.workflows.summary_text import summary_lines
from orchestrator.core.state import WorkflowStatus


def report(finished: FinishedRun, repo: Path | None, *, as_json: bool, again: Sequence[str] = ()) -> int:
    """Print what the run amounts to, or what must be approved. Returns the exit code.

    again: options with which whoever resumes it works alike.
    """
    summary = finished.summary
    waiting = finished.waiting_for_approval
    if as_json:
        print_json({**summary.as_json(), "waiting_for_approval": list(waiting)})
    elif waiting:
        print_line()
        print_waiting(pending_approvals(finished.view))
        print_line(f"  go on    {command_line('run', '--resume', summary.workflow_id, *again)}")
    else:
        for line in [*summary_lines(summary), *_next_steps(summary, repo)]:
            print_line(line)
    if waiting:
        return EXIT_APPROVAL
    return EXIT_DONE if summary.status == WorkflowStatus.COMPLETED.value else EXIT_FAILED


def _next_steps(summary: Summary, repo: Path | None) -> list[str]:
    if not summary.commit:
        return [f"  look       {command_line('events', summary.workflow_id)}"]
    if repo:
        command = shlex.join(["git", "-C", str(repo), "pull", summary.store, summary.branch or ""])
        return [f"  take it    {command}"]
    command = command_line("artifacts", summary.workflow_id, "--checkout", "my-result")
    return [f"  check out  {command}"]
