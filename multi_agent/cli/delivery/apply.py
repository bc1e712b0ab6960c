"""`multi-agent apply`."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import asdict
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.delivery.taking import apply as apply_to
from multi_agent.application.delivery.taking import take_branch
from multi_agent.cli.delivery.opening import about, opened, to_option
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@to_option
@click.option(
    "--branch", metavar="NAME", help="Make this branch with its commits instead; one that is there stays."
)
@data_dir_option
@json_option
def apply(workflow: str | None, repo: Path, branch: str | None, as_json: bool, **options: object) -> None:
    """Put what WORKFLOW, or the newest one, changed into your repository's working tree.

    Your own commits since then stay (a three-way merge). Where both changed the same lines, or a file has
    changes that are not committed, it names them and changes nothing. Nothing is staged or committed.
    """
    settings = quiet_settings(**options)
    if branch is not None:
        asyncio.run(_branch(settings, workflow, repo, branch, as_json=as_json))
    else:
        asyncio.run(_apply(settings, workflow, repo, as_json=as_json))


async def _branch(settings: Settings, workflow: str | None, repo: Path, name: str, *, as_json: bool) -> None:
    async with opened(settings, workflow) as (client, store, delivered):
        user, made = await take_branch(client, store, delivered, repo, name)
    if as_json:
        print_json({**about(delivered), "repository": str(user.top or user.git_dir), "branch": name})
        return
    print_line(f"branch {name} of {user.shown} {'is' if made else 'was already'} at {delivered.commit}")


async def _apply(settings: Settings, workflow: str | None, repo: Path, *, as_json: bool) -> None:
    async with opened(settings, workflow) as (client, store, delivered):
        user, applied = await apply_to(client, store, delivered, repo)
    if as_json:
        print_json({**about(delivered), "repository": str(user.top), **asdict(applied)})
        return
    for what, paths in (("written", applied.written), ("deleted", applied.deleted)):
        for path in paths:
            print_line(f"  {what}  {path}")
    if not applied.written and not applied.deleted:
        print_line(f"{user.shown} has it already")
    else:
        look = shlex.join(["git", "-C", str(user.top), "status"])
        print_line(f"{delivered.workflow_id} is in {user.shown}, not staged; look: {look}")
