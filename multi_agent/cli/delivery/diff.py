"""`multi-agent diff`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_patch
from multi_agent.application.delivery.taking import DiffForm, list_changes, show_difference
from multi_agent.cli.delivery.opening import about, opened
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@click.argument("paths", nargs=-1)
@click.option("--stat", "form", flag_value=DiffForm.STAT, help="Count the lines of each file instead.")
@click.option("--name-only", "form", flag_value=DiffForm.NAMES, help="Name the files instead.")
@data_dir_option
@json_option
def diff(
    workflow: str | None, paths: tuple[str, ...], form: DiffForm | None, as_json: bool, **options: object
) -> None:
    """Show what WORKFLOW, or the newest one, changed, as `git diff` does and `git apply` takes it.

    PATHS, from the root of the tree, limit it. The unverified work of a failed workflow is shown too.
    """
    asyncio.run(_diff(quiet_settings(**options), workflow, paths, form or DiffForm.PATCH, as_json=as_json))


async def _diff(
    settings: Settings, workflow: str | None, paths: tuple[str, ...], form: DiffForm, *, as_json: bool
) -> None:
    async with opened(settings, workflow) as (_, store, delivered):
        if not as_json:
            print_patch(await show_difference(store, delivered, form, paths))
            return
        files = [asdict(file) for file in await list_changes(store, delivered)]
        print_json({**about(delivered), "files": files})
