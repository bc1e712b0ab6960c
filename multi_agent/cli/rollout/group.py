"""`multi-agent rollout`."""

from __future__ import annotations

import click

from multi_agent.cli.lazy import LazyCommand, LazyGroup

_COMMANDS = {
    "start": LazyCommand("rollout.start:start", "Begin to send traffic over, in stages."),
    "serve": LazyCommand(
        "rollout.serve:serve", "Tell programs the flag, keep their outcomes, judge the gate."
    ),
    "status": LazyCommand("rollout.status:status", "Show where a rollout stands, and why."),
    "promote": LazyCommand("rollout.promote:promote", "Go on to the next stage."),
    "rollback": LazyCommand("rollout.rollback:rollback", "Send all traffic back, now."),
    "report": LazyCommand("rollout.report:report", "Write a page with both arms' curves and all decisions."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def rollout() -> None:
    """Let multi-agent take over from an agent of yours: measured, in stages, and reversible."""
