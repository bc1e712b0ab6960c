"""`multi-agent run`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.base.printing import print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.data_folder import check_data_folder
from multi_agent.cli import EXIT_APPROVAL, EXIT_INTERRUPTED
from multi_agent.cli.completing import complete_workflow
from multi_agent.cli.options import (
    agents_option,
    data_dir_option,
    json_option,
    metrics_option,
    model_option,
    on_event_option,
    sandbox_option,
    settings_of,
)
from multi_agent.runtime.early import forked_early
from multi_agent.runtime.observing.event_hooks import read_hook
from multi_agent.runtime.observing.shared_metrics import served_metrics

if TYPE_CHECKING:
    from multi_agent.cli.workflows.run_session import RunOptions, RunSession
    from multi_agent.settings import Settings

# Everything else is imported while another process imports what the workers and the orchestrator need.
# ruff: noqa: PLC0415


@click.command()
@click.argument("request", required=False)
@click.option(
    "--repo", type=click.Path(file_okay=False, path_type=Path), help="Start from this repository's HEAD."
)
@click.option(
    "--plan", type=click.Path(dir_okay=False, path_type=Path), help="Run this plan instead of making one."
)
@click.option(
    "--resume",
    metavar="WORKFLOW",
    shell_complete=complete_workflow,
    help="Go on with a workflow that was interrupted.",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. [default: 2]")
@model_option
@sandbox_option
@agents_option
@metrics_option
@on_event_option
@data_dir_option
@json_option
def run(
    request: str | None,
    repo: Path | None,
    plan: Path | None,
    resume: str | None,
    modules: tuple[str, ...],
    hooks: tuple[str, ...],
    as_json: bool,
    **options: object,
) -> int:
    """Turn REQUEST into tested code: plan it, build it, test it in a sandbox, fix it, commit it.

    Starts whatever is needed and stops it again, or joins what already serves the data folder.
    """
    if sum(value is not None for value in (request, plan, resume)) != 1:
        raise click.UsageError("say what to build: a REQUEST, or --plan FILE, or --resume WORKFLOW")
    told_to = tuple(map(read_hook, hooks))
    again, typed = _again(modules, options), _typed(request, repo, modules, options)
    settings = settings_of(**options)
    check_data_folder(settings.data)
    with served_metrics(settings), forked_early(settings) as forked:
        from multi_agent.cli.tables import Terminal
        from multi_agent.cli.workflows.run_session import RunOptions, RunSession
        from multi_agent.cli.workflows.screen import Screen

        wanted = RunOptions(request, plan, resume, repo, modules, told_to, again, typed)
        session = RunSession(settings, wanted, Screen(Terminal(err=as_json), quiet=as_json), forked)
        return asyncio.run(_interruptible(settings, session, wanted, as_json=as_json))


async def _interruptible(
    settings: Settings, session: RunSession, wanted: RunOptions, *, as_json: bool
) -> int:
    """Run until done, or until Ctrl-C, which stops what was started and says how to go on."""
    from multi_agent.application.approvals import pending_approvals
    from multi_agent.application.shown_actions import ShownActions
    from multi_agent.cli.workflows.run_report import report

    work = asyncio.ensure_future(session.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        finished = await work
    except asyncio.CancelledError:
        print_line(err=True)
        print_line("interrupted; everything started here is stopped", err=True)
        for line in _after_interrupt(session.workflow_id, wanted.again):
            print_line(line, err=True)
        return EXIT_INTERRUPTED
    code = report(finished, wanted.repo, as_json=as_json, again=wanted.again)
    if code == EXIT_APPROVAL and not as_json:
        ShownActions(settings.data).note(pending_approvals(finished.view))
    return code


def _again(modules: tuple[str, ...], options: Mapping[str, object]) -> tuple[str, ...]:
    """The options of this run that one which goes on with it needs as well."""
    given = [(f"--{name}", str(options[name])) for name in ("model", "sandbox") if options[name]]
    given += [("--agents", module) for module in modules]
    return tuple(word for pair in given for word in pair)


def _typed(
    request: str | None, repo: Path | None, modules: tuple[str, ...], options: Mapping[str, object]
) -> tuple[str, ...]:
    """What follows this command's name for another choice of the model."""
    given = [("--repo", repo), ("--workers", options["workers"]), *(("--agents", one) for one in modules)]
    return (request or "", *(str(word) for pair in given if pair[1] is not None for word in pair))


def _after_interrupt(workflow_id: str | None, again: tuple[str, ...]) -> list[str]:
    """What can be done with what was begun."""
    if workflow_id is None:
        return ["nothing was submitted"]
    return [
        f"nothing is lost; go on with: {command_line('run', '--resume', workflow_id, *again)}",
        f"the next start goes on with it too; to end it: {command_line('cancel', workflow_id)}",
    ]
