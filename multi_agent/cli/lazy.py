"""Groups of commands that are imported when they are called, so that `--help` answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

import click


class LazyCommand(NamedTuple):
    """A command that is not imported yet."""

    place: str
    """`MODULE:ATTRIBUTE`, the module below multi_agent.cli."""
    help: str
    """One line for the list of commands."""


class LazyGroup(click.Group):
    """A group that imports only the command that is called."""

    def __init__(self, *args: Any, lazy_commands: Mapping[str, LazyCommand], **options: Any) -> None:
        """`lazy_commands` by name, in the order in which help lists them."""
        super().__init__(*args, **options)
        self._lazy_commands = lazy_commands

    def list_commands(self, _context: click.Context) -> list[str]:
        """All names."""
        return list(self._lazy_commands)

    def resolve_command(
        self, context: click.Context, words: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a word that is no command is answered with the one that may have been meant."""
        if words and words[0] not in self._lazy_commands and not words[0].startswith("-"):
            close = get_close_matches(words[0], self._lazy_commands, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            context.fail(f"No such command '{words[0]}'.{hint}")
        return super().resolve_command(context, words)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import one command; None when there is none of that name."""
        if name not in self._lazy_commands:
            return None
        module, attribute = self._lazy_commands[name].place.split(":")
        command: click.Command = getattr(import_module(f"multi_agent.cli.{module}"), attribute)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in self._lazy_commands.items()])
