"""`multi-agent environment`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "build": LazyCommand("environments.build:build", "Build what a repository's programs need, or check it."),
    "list": LazyCommand("environments.list:list_built", "List the environments that are kept."),
    "remove": LazyCommand("environments.remove:remove", "Remove an environment."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def environment() -> None:
    """Manage the packages that a repository's programs find in their sandbox."""
