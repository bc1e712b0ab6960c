"""What several commands print, and who calls them."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line
from contracts.base.processes.command_lines import command_line

if TYPE_CHECKING:
    from orchestrator.core.command_result import CommandResult


def print_result(result: CommandResult | None, what: str) -> None:
    """Print what became of a command, `what` it does in words. Raises InvalidInput when it was refused."""
    if result is None:
        print_line(f"noted: {what}; it takes effect when an orchestrator runs: {command_line('up')}")
        return
    if result.refusal is not None:
        raise InvalidInput(result.refusal)
    print_line(f"done: {what}")


def caller() -> str:
    """The name of the user who called this program."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
