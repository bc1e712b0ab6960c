"""`status`, `watch`, `events`, `artifacts`: looking, never changing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contracts.base.errors import InvalidInput
from contracts.base.refs import branch_name
from multi_agent.bootstrap import make_artifacts
from multi_agent.cli import EXIT_APPROVAL, EXIT_DONE, EXIT_FAILED
from multi_agent.cli.common import asking_settings, data_dir_option, json_option, opened_client, print_json
from multi_agent.settings import Settings
from orchestrator.core.state import WorkflowStatus

if TYPE_CHECKING:
    from orchestrator.client.views import JournalEntry, WorkflowView
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.core.state import Header
    from orchestrator.scheduling.dead_letters import StoredDeadLetter


@click.command()
@click.argument("workflow", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@data_dir_option
@json_option
def status(workflow: str | None, limit: int, as_json: bool, **options: object) -> None:
    """Show the newest workflows, or WORKFLOW (any unambiguous beginning of its id) with its tasks."""
    settings = asking_settings(**options)
    if workflow is None:
        overview = asyncio.run(_overview(settings, limit))
        if as_json:
            shown = [{**header._asdict(), "tasks": count} for header, count in overview.headers]
            print_json(
                {"workflows": shown, "orchestrators": overview.orchestrators, "workers": overview.workers}
            )
        else:
            _print_overview(overview)
        return
    view, letters = asyncio.run(_view_and_letters(settings, workflow))
    if as_json:
        print_json(view_json(view))
    else:
        _print_view(view, letters)


@dataclass(frozen=True, slots=True)
class _Overview:
    """The newest workflows with their numbers of tasks, and the rows of who serves them."""

    headers: list[tuple[Header, int]]
    orchestrators: list[dict[str, Any]]
    workers: list[dict[str, Any]]


async def _overview(settings: Settings, limit: int) -> _Overview:
    async with opened_client(settings) as client:
        return _Overview(await client.workflows(limit), await client.orchestrators(), await client.workers())


def _print_overview(overview: _Overview) -> None:
    if not overview.headers:
        click.echo("no workflow yet; start one with `multi-agent run` or `multi-agent submit`")
    for header, count in overview.headers:
        age = _age(header.created_at)
        click.echo(
            f"{header.workflow_id}  {header.status.value}  {count} tasks  {age}  {header.request[:60]}"
        )
    for owner in overview.orchestrators:
        if owner["note"]:
            click.echo(f"orchestrator {owner['pid']} on {owner['host']}: {owner['note']}")
    for worker in overview.workers:
        roles = ", ".join(worker["roles"])
        click.echo(f"worker {worker['worker_id']} on {worker['host']}: {roles} ({worker['slots']} slots)")


def _age(since: float) -> str:
    seconds = int(max(0.0, time.time() - since))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


async def _view(settings: Settings, name: str | None) -> WorkflowView:
    async with opened_client(settings) as client:
        return await _known(client, name)


async def _known(client: WorkflowClient, name: str | None) -> WorkflowView:
    workflow_id = await client.resolve(name)
    view = await client.workflow(workflow_id)
    if view is None:
        raise InvalidInput(f"workflow {workflow_id} is queued; no orchestrator has taken it up yet")
    return view


async def _view_and_letters(settings: Settings, name: str) -> tuple[WorkflowView, list[StoredDeadLetter]]:
    async with opened_client(settings) as client:
        view = await _known(client, name)
        return view, await client.dead_letters(workflow_id=view.header.workflow_id)


def _print_view(view: WorkflowView, letters: list[StoredDeadLetter]) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy

    from multi_agent.cli.screen import task_table  # noqa: PLC0415

    header = view.header
    click.echo(
        f"{header.workflow_id}  {header.status.value}" + (f"  {header.reason}" if header.reason else "")
    )
    Console().print(task_table(view))
    if header.result_commit:
        click.echo(f"result {header.result_commit} on {branch_name(header.workflow_id)}")
    for task in view.waiting_for_approval:
        click.echo(f"waiting for approval: multi-agent approve {header.workflow_id} {task.task_id}")
    for letter in letters:
        click.echo(f"given up: {letter.task_id}; multi-agent dead-letters show {letter.dead_letter_id}")


def view_json(view: WorkflowView) -> dict[str, Any]:
    """A workflow with its tasks, for programs."""
    tasks = [
        {
            "task_id": task.task_id,
            "title": task.item.title,
            "agent_role": task.item.agent_role,
            "status": task.status.value,
            "verdict": task.verdict,
            "attempt": task.attempt,
            "failures": task.failures,
            "crashes": task.crashes,
            "outages": task.outages,
            "suspect": task.suspect,
            "cycle": task.cycle,
            "dependencies": list(task.dependencies),
            "commit": task.commit,
            "summary": task.summary,
            "tests": task.tests.model_dump() if task.tests else None,
            "error": task.error.model_dump() if task.error else None,
            "usage": task.usage.model_dump(),
            "seconds": task.seconds,
            "sandbox": task.backend,
        }
        for task in view.tasks
    ]
    return {**view.header._asdict(), "tasks": tasks}


@click.command()
@click.argument("workflow", required=False)
@data_dir_option
def watch(workflow: str | None, **options: object) -> int:
    """Follow WORKFLOW, or the newest one, until it ends."""
    return asyncio.run(_watch(asking_settings(**options), workflow))


async def _watch(settings: Settings, name: str | None) -> int:
    from rich.console import Console  # noqa: PLC0415 - heavy

    from multi_agent.cli.screen import Screen  # noqa: PLC0415
    from orchestrator.client.database_retry import DatabaseRetry  # noqa: PLC0415

    screen = Screen(Console())
    retry_policy = DatabaseRetry(screen.say)
    seen = 0
    async with opened_client(settings) as client:
        workflow_id = await client.resolve(name)
        try:
            async for view in client.follow(workflow_id, retry_policy=retry_policy):
                entries = await retry_policy.call(partial(client.events, workflow_id, after=seen))
                seen = entries[-1].sequence if entries else seen
                screen.show(view, entries)
                if view.stands_still:
                    return EXIT_APPROVAL
                if view.header.status.terminal:
                    return EXIT_DONE if view.header.status is WorkflowStatus.COMPLETED else EXIT_FAILED
        finally:
            screen.close()
    return EXIT_FAILED


@click.command()
@click.argument("workflow", required=False)
@click.option("--after", type=int, default=0, help="Only entries with a higher sequence number.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@data_dir_option
@json_option
def events(workflow: str | None, after: int, limit: int, as_json: bool, **options: object) -> None:
    """Print the journal of WORKFLOW, or of the newest one; with --json one object a line."""
    for entry in asyncio.run(_events(asking_settings(**options), workflow, after, limit)):
        if as_json:
            import json  # noqa: PLC0415 - only here

            click.echo(json.dumps(asdict(entry), ensure_ascii=False))
        else:
            from multi_agent.cli.screen import entry_line  # noqa: PLC0415 - heavy

            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
            click.echo(
                f"{entry.sequence:>6} {moment} {entry_line(entry, entry.at).partition(']')[2].strip()}"
            )


async def _events(settings: Settings, name: str | None, after: int, limit: int) -> list[JournalEntry]:
    async with opened_client(settings) as client:
        return await client.events(await client.resolve(name), after, limit)


@click.command()
@click.argument("workflow", required=False)
@click.option(
    "--checkout", "target", type=click.Path(path_type=Path), help="Put the result into this new folder."
)
@data_dir_option
@json_option
def artifacts(workflow: str | None, target: Path | None, as_json: bool, **options: object) -> None:
    """List the commits of WORKFLOW, or of the newest one; or check its result out as a Git repository."""
    settings = asking_settings(**options)
    view = asyncio.run(_view(settings, workflow))
    if target is not None:
        asyncio.run(_checkout(settings, view, target))
        click.echo(f"{view.header.workflow_id} is in {target}", err=as_json)
        if not as_json:
            return
    commits = asyncio.run(_history(settings, view.header.workflow_id))
    if as_json:
        print_json([asdict(commit) for commit in commits])
        return
    for commit in commits:
        click.echo(f"{commit.sha[:12]}  {commit.task_id}  {commit.subject}")
        for path in commit.files:
            click.echo(f"              {path}")


async def _history(settings: Settings, workflow_id: str) -> list[Any]:
    store = make_artifacts(settings)
    try:
        return list(await store.history(workflow_id))
    finally:
        await store.close()


async def _checkout(settings: Settings, view: WorkflowView, target: Path) -> None:
    header = view.header
    if header.result_commit is None:
        why = "left no files" if header.status is WorkflowStatus.COMPLETED else f"is {header.status.value}"
        raise InvalidInput(f"workflow {header.workflow_id} {why}; it has no result to check out")
    store = make_artifacts(settings)
    try:
        await store.checkout(branch_name(header.workflow_id), target)
    finally:
        await store.close()
