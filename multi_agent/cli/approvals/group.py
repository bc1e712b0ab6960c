"""`multi-agent approvals`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand("approvals.list:list_approvals", "List what waits for a person to allow it."),
    "show": LazyCommand("approvals.show:show", "Show exactly what would be allowed."),
    "approve": LazyCommand("decisions.approve:approve", "Allow exactly what you saw, once."),
    "reject": LazyCommand("decisions.reject:reject", "Refuse what waits for approval, for ever."),
    "always": LazyCommand("approvals.always:always", "Propose a rule that allows it from now on."),
    "policy": LazyCommand("approvals.policy:policy", "Show your rules, and how often they ask."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def approvals() -> None:
    """Look at what waits for approval, and decide."""
