"""`multi-agent run`: from a request to a branch, in one command."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agents.sdk.registry import agent_info
from contracts.base.errors import InvalidInput, MultiAgentError, NotConfigured, StoreUnavailable
from contracts.documents.plan_checks import PlanLimits, parse_plan
from contracts.documents.todo_list import TodoList
from multi_agent.application.summary import Summary, summarise, summary_lines
from multi_agent.bootstrap import (
    find_agents,
    make_artifacts,
    make_client,
    make_database,
    make_model,
    make_planner,
    sandbox_settings,
)
from multi_agent.cli import EXIT_APPROVAL, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from multi_agent.cli.common import (
    agents_option,
    data_dir_option,
    json_option,
    model_option,
    print_json,
    sandbox_option,
    settings_of,
)
from multi_agent.cli.screen import Screen
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.core.state import WorkflowStatus

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from orchestrator.client.views import WorkflowView
    from orchestrator.client.workflow_client import WorkflowClient


ALL_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for; exactly one of request, plan and resume is set."""

    request: str | None
    plan: Path | None
    resume: str | None
    repo: Path | None
    modules: tuple[str, ...]
    as_json: bool


@click.command()
@click.argument("request", required=False)
@click.option(
    "--repo", type=click.Path(file_okay=False, path_type=Path), help="Start from this repository's HEAD."
)
@click.option(
    "--plan", type=click.Path(dir_okay=False, path_type=Path), help="Run this plan instead of making one."
)
@click.option("--resume", metavar="WORKFLOW", help="Go on with a workflow that was interrupted.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. [default: 2]")
@model_option
@sandbox_option
@agents_option
@data_dir_option
@json_option
def run(
    request: str | None,
    repo: Path | None,
    plan: Path | None,
    resume: str | None,
    modules: tuple[str, ...],
    as_json: bool,
    **options: object,
) -> int:
    """Turn REQUEST into tested code: plan it, build it, test it in a sandbox, fix it, commit it.

    Starts whatever is needed and stops it again, or joins what already serves the data folder.
    """
    if sum(value is not None for value in (request, plan, resume)) != 1:
        raise click.UsageError("say what to build: a REQUEST, or --plan FILE, or --resume WORKFLOW")
    wanted = RunOptions(request, plan, resume, repo, modules, as_json)
    return asyncio.run(_interruptible(settings_of(**options), wanted))


async def _interruptible(settings: Settings, options: RunOptions) -> int:
    """Run until done, or until Ctrl-C, which stops what was started and says how to go on."""
    from rich.console import Console  # noqa: PLC0415 - heavy

    screen = Screen(Console(stderr=options.as_json), quiet=options.as_json)
    session = RunSession(settings, options, screen)
    work = asyncio.ensure_future(session.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        click.echo("\ninterrupted; everything started here is stopped", err=True)
        if session.workflow_id:
            click.echo(
                f"nothing is lost; go on with: multi-agent run --resume {session.workflow_id}", err=True
            )
        return EXIT_INTERRUPTED


class RunSession:
    """One `run`: the stack, the plan, the wait, the summary."""

    def __init__(self, settings: Settings, options: RunOptions, screen: Screen) -> None:
        self._options = options
        self._screen = screen
        self._stack = Stack(settings, screen.say, modules=options.modules)
        self.workflow_id: str | None = None

    async def run(self) -> int:
        """The exit code."""
        settings = self._stack.settings
        plan = self._read_plan(settings) if self._options.plan else None
        await self._check_means(settings, plan)
        await self._check_sandbox(settings)
        artifacts = make_artifacts(settings)
        try:
            base = await artifacts.import_base(self._options.repo) if self._options.repo else None
            await self._stack.start()
            if plan is None and self._options.request is not None:
                plan = await self._make_plan(self._options.request, artifacts, base)
            return await self._work(plan, artifacts, base)
        finally:
            self._screen.close()
            await self._stack.stop()
            await artifacts.close()

    def _read_plan(self, settings: Settings) -> TodoList:
        assert self._options.plan is not None
        try:
            raw = self._options.plan.read_bytes()
        except OSError as error:
            raise InvalidInput(f"plan {self._options.plan}: {error.strerror}") from None
        return parse_plan(raw, PlanLimits(max_tasks=settings.max_tasks))

    async def _check_means(self, settings: Settings, plan: TodoList | None) -> None:
        """Refuse before anything starts what could only fail later: agents, roles, the model."""
        served = {agent_info(found).role for found in find_agents(self._options.modules)}
        missing = sorted({item.agent_role for item in plan.items} - served) if plan else []
        if missing:
            known = ", ".join(sorted(served))
            raise InvalidInput(
                f"no agent serves the role {missing[0]!r} (known: {known}); name its module: --agents MODULE"
            )
        await make_model(settings).close()

    async def _check_sandbox(self, settings: Settings) -> None:
        from sandbox_runner import survey  # noqa: PLC0415 - heavy

        wanted = sandbox_settings(settings)
        found = [one for one in await survey(wanted) if wanted.backend in {"auto", one.name}]
        ready = next((one for one in found if one.ready), None)
        if ready is None:
            why = "\n".join(f"  {one.name}: {one.reason}; {one.how_to_get}" for one in found)
            raise NotConfigured(f"no sandbox is ready, and code never runs without one:\n{why}")
        self._screen.say(f"sandbox: {ready.name} ({ready.isolation.value})")
        stronger = [one for one in found[: found.index(ready)] if not one.ready]
        if stronger:
            self._screen.say(f"a stronger one, {stronger[0].name}: {stronger[0].how_to_get}")

    async def _make_plan(self, request: str, artifacts: GitArtifactStore, base: str | None) -> TodoList:
        from planner_service.repository import RepositorySummary  # noqa: PLC0415

        settings = self._stack.settings
        model = make_model(settings)
        self._screen.say(f"planning with {model.name} ...{_manual_hint(settings.model_spec)}")
        try:
            summary = RepositorySummary.of(await artifacts.read_tree(base)) if base else None
            return await make_planner(settings, model, self._options.modules).plan(
                request, repository=summary
            )
        finally:
            await model.close()

    async def _work(self, plan: TodoList | None, artifacts: GitArtifactStore, base: str | None) -> int:
        settings = self._stack.settings
        database = make_database(settings)
        try:
            client = make_client(settings, database)
            if plan is not None:
                self.workflow_id = await client.submit(plan, base_commit=base)
                self._screen.say(f"workflow {self.workflow_id}: {len(plan.items)} tasks")
            else:
                self.workflow_id = await client.resolve(self._options.resume)
            view = await self._follow(client, self.workflow_id)
            summary = await summarise(view, artifacts, settings.artifacts)
            return self._report(view, summary)
        finally:
            await database.close()

    async def _follow(self, client: WorkflowClient, workflow_id: str) -> WorkflowView:
        """Show the workflow until it ends or needs a person; take over when those who served it are gone."""
        keeper = asyncio.create_task(self._keep_served())
        retry_policy = DatabaseRetry(self._screen.say)
        seen = 0
        try:
            async for view in client.follow(workflow_id, retry_policy=retry_policy):
                ask = partial(client.events, workflow_id, after=seen, limit=ALL_EVENTS)
                entries = await retry_policy.call(ask)
                seen = entries[-1].sequence if entries else seen
                self._screen.show(view, entries)
                waiting = partial(client.has_waiting_commands, workflow_id)
                if _over(view) and not await retry_policy.call(waiting):
                    # A command may have been applied between the two looks.
                    newest = await retry_policy.call(partial(client.workflow, workflow_id))
                    if newest is not None and _over(newest):
                        return newest
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        raise StoreUnavailable(f"workflow {workflow_id} cannot be followed any further")

    async def _keep_served(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._stack.take_over()
            except (MultiAgentError, OSError) as error:
                self._screen.say(f"cannot take over yet: {error}")

    def _report(self, view: WorkflowView, summary: Summary) -> int:
        self._screen.close()
        waiting = [task.task_id for task in view.waiting_for_approval] if view.stands_still else []
        if self._options.as_json:
            print_json({**summary.as_json(), "waiting_for_approval": waiting})
        elif waiting:
            click.echo(f"\nwaiting for approval: {', '.join(waiting)}")
            click.echo(f"  look     multi-agent approve {summary.workflow_id} {waiting[0]} --show")
            click.echo(f"  allow    multi-agent approve {summary.workflow_id} {waiting[0]}")
            click.echo(f"  go on    multi-agent run --resume {summary.workflow_id}")
        else:
            for line in [*summary_lines(summary), *self._next_steps(summary)]:
                click.echo(line)
        if waiting:
            return EXIT_APPROVAL
        return EXIT_DONE if view.header.status is WorkflowStatus.COMPLETED else EXIT_FAILED

    def _next_steps(self, summary: Summary) -> list[str]:
        if not summary.commit:
            return [f"  look       multi-agent events {summary.workflow_id}"]
        if self._options.repo:
            pull = f"git -C {self._options.repo} pull {summary.store} {summary.branch}"
            return [f"  take it    {pull}"]
        return [f"  check out  multi-agent artifacts {summary.workflow_id} --checkout my-result"]


def _over(view: WorkflowView) -> bool:
    """Whether the workflow has ended, or goes on only when a person decides."""
    return view.header.status.terminal or view.stands_still


def _manual_hint(spec: str) -> str:
    """Where a person finds the prompts, when a person is the model."""
    _, found, folder = spec.partition("manual:")
    return f" answer each {folder}/*.prompt.md in a file of the same name with .answer.txt" if found else ""
