"""`multi-agent dead-letters`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand("dead_letters.list:list_dead_letters", "List the newest open dead letters."),
    "show": LazyCommand("dead_letters.show:show", "Show the reason, the bytes and the worker's last logs."),
    "retry": LazyCommand("dead_letters.retry:retry", "Give the task fresh attempts, or publish the message."),
    "discard": LazyCommand(
        "dead_letters.discard:discard", "Close a dead letter; `list --all` still shows it."
    ),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def dead_letters() -> None:
    """Look at dead-lettered tasks and messages, and retry or discard them."""
