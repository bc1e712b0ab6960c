"""What a failed workflow offers, in words."""

from __future__ import annotations

from pathlib import Path

from contracts.base.processes.command_lines import command_line
from contracts.base.text import flowing
from multi_agent.application.ends.results import OfferedWork
from multi_agent.cli.workflows.summary_text import listed_lines

_MOST = 5


def offer_lines(offered: OfferedWork) -> list[str]:
    """The branch, and what speaks against it."""
    return [
        f"  unverified {offered.branch} ({offered.commit})",
        *_listed("against", offered.against),
        *_listed("left out", offered.left_out),
    ]


def take_lines(workflow_id: str, repo: Path | None) -> list[str]:
    """The commands that get the work: into the repository that it started from, else a new folder."""
    if repo is None:
        return [f"  check out  {command_line('artifacts', workflow_id, '--checkout', 'my-result')}"]
    return [
        f"  read it    {command_line('diff', workflow_id)}",
        f"  take it    {command_line('apply', workflow_id, '--repo', str(repo))}",
    ]


def _listed(heading: str, entries: tuple[str, ...]) -> list[str]:
    shown = [flowing(entry) for entry in entries[:_MOST]]
    if len(entries) > _MOST:
        shown.append(f"and {len(entries) - _MOST} more")
    return listed_lines(heading, shown)
