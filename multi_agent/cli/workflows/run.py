"""`multi-agent run`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from contracts.base.printing import print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.data_folder import check_data_folder
from multi_agent.cli import EXIT_INTERRUPTED, EXIT_WAITING
from multi_agent.cli.completing import complete_workflow
from multi_agent.cli.issue_options import asked_of, issue_options, read_request
from multi_agent.cli.options import (
    agents_option,
    budget_options,
    data_dir_option,
    environment_option,
    json_option,
    metrics_option,
    model_option,
    on_event_option,
    questions_option,
    quiet_settings,
    sandbox_option,
)
from multi_agent.runtime.early import only_if_unserved
from multi_agent.runtime.observing.hooks import audit_hook, read_hook
from multi_agent.runtime.observing.shared_metrics import served_metrics

if TYPE_CHECKING:
    from multi_agent.cli.workflows.run_session import RunOptions, RunSession
    from multi_agent.settings import Settings

# Everything else is imported while another process imports what the workers and the orchestrator need.
# ruff: noqa: PLC0415

_PLAN_KINDS: Final = frozenset({"auto", "full", "single"})


@click.command()
@click.argument("request", required=False)
@click.option(
    "--repo", type=click.Path(file_okay=False, path_type=Path), help="Start from this repository's HEAD."
)
@issue_options
@click.option(
    "--plan",
    metavar="FILE|auto|full|single",
    help="Run the plan in this file; or say who makes it: the model (full), or nobody, and one agent does "
    "all (single). [default: auto, which is single in a repository, else full; env MULTI_AGENT_PLAN]",
)
@click.option(
    "--resume",
    metavar="WORKFLOW",
    shell_complete=complete_workflow,
    help="Go on with a workflow that was interrupted.",
)
@click.option("--watch-steps", is_flag=True, help="Show each step of the agents in a repository.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. [default: 2]")
@model_option
@sandbox_option
@environment_option
@agents_option
@metrics_option
@questions_option
@budget_options
@on_event_option
@data_dir_option
@json_option
def run(
    request: str | None,
    repo: Path | None,
    plan: str | None,
    resume: str | None,
    modules: tuple[str, ...],
    hooks: tuple[str, ...],
    as_json: bool,
    **options: object,
) -> int:
    """Turn REQUEST into tested code: plan it, build it, test it in a sandbox, fix it, commit it.

    Starts whatever is needed and stops it again, or joins what already serves the data folder.
    """
    kind = plan if plan in _PLAN_KINDS else None
    file = Path(plan) if plan is not None and kind is None else None
    watch_steps = bool(options.pop("watch_steps"))
    asked = asked_of(request, options)
    if sum(value is not None for value in (request, options["issue"], file, resume)) != 1:
        raise click.UsageError(
            "say what to build: a REQUEST, or --issue URL|FILE, or --plan FILE, or --resume WORKFLOW"
        )
    if resume is not None and (options["budget"] or options["budget_tokens"]):
        raise click.UsageError("--budget is for a new workflow; raise that of another with `budget raise`")
    told_to = tuple(map(read_hook, hooks))
    again, typed = _again(modules, options), _typed(asked, repo, modules, {**options, "plan": kind})
    settings = quiet_settings(**options, plan=kind)
    check_data_folder(settings.data)
    audit_hook(settings)
    request = request if options["issue"] is None else read_request(settings, options)
    forked = only_if_unserved(settings, click.get_current_context().obj)
    with served_metrics(settings):
        from multi_agent.cli.tables import Terminal
        from multi_agent.cli.workflows.run_session import RunOptions, RunSession
        from multi_agent.cli.workflows.screen import Screen
        from multi_agent.telemetry.logs import set_up_logs

        set_up_logs("warning", settings.redactor, process="cli")
        wanted = RunOptions(request, file, resume, repo, modules, told_to, again, typed, watch_steps)
        session = RunSession(settings, wanted, Screen(Terminal(err=as_json)), forked)
        return asyncio.run(_interruptible(settings, session, wanted, as_json=as_json))


async def _interruptible(
    settings: Settings, session: RunSession, wanted: RunOptions, *, as_json: bool
) -> int:
    """Run until done, or until Ctrl-C, which stops what was started and says how to go on."""
    from multi_agent.application.approvals.shown_actions import ShownActions
    from multi_agent.application.waiting import pending
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
        for line in _after_interrupt(session.workflow_id, session.again):
            print_line(line, err=True)
        return EXIT_INTERRUPTED
    code = report(finished, wanted.repo, as_json=as_json, again=session.again)
    if code == EXIT_WAITING and not as_json:
        ShownActions(settings.data).note(pending(finished.view))
    return code


def _again(modules: tuple[str, ...], options: Mapping[str, object]) -> tuple[str, ...]:
    """The options of this run that one which goes on with it needs as well.

    Not whom to tell of events: addresses and commands may hold secrets.
    """
    names = ("model", "sandbox", "environment", "workers", "metrics_host", "metrics_port")
    given = [(f"--{name.replace('_', '-')}", str(options[name])) for name in names if options[name]]
    given += [("--agents", module) for module in modules]
    return tuple(word for pair in given for word in pair)


def _typed(
    asked: tuple[str, ...], repo: Path | None, modules: tuple[str, ...], options: Mapping[str, object]
) -> tuple[str, ...]:
    """What follows this command's name for another choice of the model."""
    others = _again(modules, {**options, "model": None})
    given = [("--repo", repo), ("--plan", options["plan"]), ("--questions", options["questions"])]
    given += [("--budget", options["budget"]), ("--budget-tokens", options["budget_tokens"])]
    words = [word for name, value in given if value is not None for word in (name, str(value))]
    return (*asked, *words, *others)


def _after_interrupt(workflow_id: str | None, again: tuple[str, ...]) -> list[str]:
    """What can be done with what was begun."""
    if workflow_id is None:
        return ["nothing was submitted"]
    return [
        f"nothing is lost; go on with: {command_line('run', '--resume', workflow_id, *again)}",
        f"the next start goes on with it too; to end it: {command_line('cancel', workflow_id)}",
    ]
