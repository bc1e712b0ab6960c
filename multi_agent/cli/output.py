"""What several commands print, and who calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from contracts.base.printing import can_ask, print_line
from contracts.base.processes.command_lines import command_line
from contracts.base.processes.users import user_name

if TYPE_CHECKING:
    from multi_agent.settings import Settings
    from orchestrator.core.commands import CommandResult


def print_result(result: CommandResult | None, what: str) -> None:
    """Print what became of a command, `what` it does in words. Raises InvalidInput when it was refused."""
    if result is None:
        print_line(f"noted: {what}; it takes effect when an orchestrator runs: {command_line('up')}")
        return
    if result.refusal is not None:
        raise InvalidInput(result.refusal)
    print_line(f"done: {what}")


def may_ask(settings: Settings) -> bool:
    """Whether agents of what this command starts may ask a person."""
    return can_ask() if settings.questions == "auto" else settings.questions == "always"


def caller() -> str:
    """The name of the user who called this program."""
    return user_name()
