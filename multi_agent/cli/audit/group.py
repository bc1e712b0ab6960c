"""`multi-agent audit`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand("audit.list:list_rows", "List who decided what, and what was done outside."),
    "verify": LazyCommand("audit.verify:verify", "Check that no row was changed, removed or moved."),
    "export": LazyCommand("audit.export:export", "Write all of it as JSON lines."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def audit() -> None:
    """Show who decided what, and check that the log is whole."""
