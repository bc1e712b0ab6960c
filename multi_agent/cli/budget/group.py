"""`multi-agent budget`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "show": LazyCommand("budget.show:show", "Show what workflows may spend and have spent."),
    "estimate": LazyCommand("budget.estimating:estimate_cost", "Say what a run will cost."),
    "raise": LazyCommand("budget.raising:raise_limit", "Let a workflow spend more, and go on."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def budget() -> None:
    """Estimate, show and raise what workflows may spend (`run --budget`, `submit --budget`)."""
