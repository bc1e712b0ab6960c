"""Groups of commands that are imported when they are called, so that `--help` answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

_HELP: Final = frozenset({"-h", "--help"})


class LazyCommand(NamedTuple):
    """A command that is not imported yet."""

    place: str
    """`MODULE:ATTRIBUTE`, the module below multi_agent.cli."""
    help: str
    """One line for the list of commands."""
    ahead: str = ""
    """`MODULE:ATTRIBUTE` of what is called before the command is imported, the module below multi_agent. What
    it returns is the context's object, and is closed with the context."""


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
        if not context.resilient_parsing and not _HELP.intersection(words):
            self._begin(context, words[0])
        return super().resolve_command(context, words)

    def _begin(self, context: click.Context, name: str) -> None:
        """Begin what a command has begun before it is imported."""
        if name in self._lazy_commands and (place := self._lazy_commands[name].ahead):
            context.obj = _attribute(f"multi_agent.{place}")()
            context.call_on_close(context.obj.close)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import one command; None when there is none of that name."""
        if name not in self._lazy_commands:
            return None
        command: click.Command = _attribute(f"multi_agent.cli.{self._lazy_commands[name].place}")
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in self._lazy_commands.items()])


def _attribute(place: str) -> Any:
    module, attribute = place.split(":")
    return getattr(import_module(module), attribute)
