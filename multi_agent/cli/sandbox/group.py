"""`multi-agent sandbox`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "build": LazyCommand("sandbox.build:build", "Build the container image of the Docker sandbox."),
    "test": LazyCommand("sandbox.test:test", "Try to get out of the sandboxes of this machine."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def sandbox() -> None:
    """Manage what programs run in."""
