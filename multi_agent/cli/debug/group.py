"""`multi-agent debug`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "requests": LazyCommand("debug.requests:requests", "List the newest requests."),
    "slow": LazyCommand("debug.slow:slow", "Show how fast each model answers, and the slowest requests."),
    "errors": LazyCommand("debug.errors:errors", "Show what went wrong, by kind, with the last reason."),
    "session": LazyCommand("debug.session:session", "List the requests of a session, or record it."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def debug() -> None:
    """Look at what programs asked the gateway, how long it took, and what went wrong."""
