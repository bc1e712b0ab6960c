"""`multi-agent environment build`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from contracts.ports.environments import PreparedEnvironment
from multi_agent.application.environments import prepare_repository
from multi_agent.bootstrap import make_artifacts, make_environments, open_workspaces
from multi_agent.cli.options import data_dir_option, environment_option, json_option, settings_of
from multi_agent.settings import Settings


@click.command()
@click.argument("repo", type=click.Path(path_type=Path), default=Path())
@environment_option
@data_dir_option
@json_option
def build(repo: Path, as_json: bool, **options: object) -> None:
    """Build the environment of the repository REPO, by default this folder: of its last commit.

    Packages come from the index that pip and npm are set to. No code of the repository, or of a package,
    runs with a network. With --environment DIR, check that folder instead.
    """
    found = asyncio.run(_build(settings_of(**options), repo))
    if as_json:
        about = {"hash": found.hash, "name": found.name} if found else {"hash": "", "name": ""}
        print_json(about)
    elif found is None:
        print_line("nothing to build: the repository names no packages")
    else:
        print_line(found.line)


async def _build(settings: Settings, repo: Path) -> PreparedEnvironment | None:
    artifacts = make_artifacts(settings)
    workspaces = open_workspaces(settings, artifacts)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(artifacts.close)
        stack.push_async_callback(workspaces.close)
        environments = make_environments(settings, artifacts, workspaces)
        return await prepare_repository(
            artifacts, environments, repo, lambda text: print_line(text, err=True)
        )
