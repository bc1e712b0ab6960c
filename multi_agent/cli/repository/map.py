"""`multi-agent map`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line, print_text
from contracts.ports.code_index import MAP_TOKENS, RepositoryMap
from multi_agent.bootstrap import open_index
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings
from multi_agent.settings import Settings

_FEWEST, _MOST = 50, 1_000_000


@click.command("map")
@click.argument("request", default="")
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository, whose last commit is read. [default: this folder]",
)
@click.option(
    "--tokens",
    type=click.IntRange(_FEWEST, _MOST),
    default=MAP_TOKENS,
    show_default=True,
    help="How long the map may be, about four characters each.",
)
@data_dir_option
@json_option
def show_map(request: str, repo: Path, tokens: int, as_json: bool, **options: object) -> None:
    """Show which files of a repository REQUEST is about, with what they define: what planners and agents see.

    Without REQUEST, those that the others refer to most come first.
    """
    commit, found = asyncio.run(_map(quiet_settings(**options), repo, request, tokens))
    if found.note:
        print_line(found.note, err=True)
    if as_json:
        print_json({"commit": commit, "paths": found.paths, "text": found.text, "note": found.note})
    else:
        print_text(found.text)


async def _map(settings: Settings, repo: Path, request: str, tokens: int) -> tuple[str, RepositoryMap]:
    index, trees, commit = open_index(settings, repo)
    try:
        return commit, await index.map(commit, request, tokens=tokens)
    finally:
        await trees.close()
