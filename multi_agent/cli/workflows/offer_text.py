"""What a failed workflow offers, in words."""

from __future__ import annotations

import shlex
from pathlib import Path

from contracts.base.processes.command_lines import command_line
from contracts.base.text import flowing
from multi_agent.application.ends.results import OfferedWork

_MOST = 5


def offer_lines(offered: OfferedWork) -> list[str]:
    """The branch, and what speaks against it."""
    return [
        f"  unverified {offered.branch} ({offered.commit})",
        *_listed("against", offered.against),
        *_listed("left out", offered.left_out),
    ]


def take_line(workflow_id: str, branch: str, store: str, repo: Path | None) -> str:
    """The command that gets a branch: into the repository that the work started from, else a new folder."""
    if repo is not None:
        command = shlex.join(["git", "-C", str(repo), "pull", store, branch])
        return f"  take it    {command}"
    return f"  check out  {command_line('artifacts', workflow_id, '--checkout', 'my-result')}"


def _listed(heading: str, entries: tuple[str, ...]) -> list[str]:
    shown = [flowing(entry) for entry in entries[:_MOST]]
    if len(entries) > _MOST:
        shown.append(f"and {len(entries) - _MOST} more")
    return [f"  {'' if number else heading:10} {entry}" for number, entry in enumerate(shown)]
