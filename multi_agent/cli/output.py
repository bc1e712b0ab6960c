"""What several commands print, and who calls them."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

import click

from contracts.base.errors import InvalidInput

if TYPE_CHECKING:
    from orchestrator.core.command_result import CommandResult


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_result(result: CommandResult | None) -> None:
    """Print what became of a command. Raises InvalidInput when it was refused."""
    if result is None:
        click.echo("noted; it takes effect when an orchestrator runs (`multi-agent up`)")
        return
    if result.refusal is not None:
        raise InvalidInput(result.refusal)
    click.echo("done")


def caller() -> str:
    """The name of the user who called this program."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
