"""`multi-agent db`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "upgrade": LazyCommand("database.upgrade:upgrade", "Bring the database to the current revision."),
    "backup": LazyCommand("database.backup:backup", "Write a checked copy of a SQLite database to a file."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def db() -> None:
    """Manage the database."""
