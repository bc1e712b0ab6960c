"""`multi-agent baseline`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_json, print_line
from contracts.documents.baseline import Baseline, BaselineFailure
from multi_agent.application.bases import RepositoryBase, find_base, take_base
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.options import (
    data_dir_option,
    environment_option,
    json_option,
    quiet_settings,
    sandbox_option,
)
from multi_agent.runtime.baselines import baseline_of
from multi_agent.runtime.services import open_artifacts
from multi_agent.settings import Settings

_SHOWN = 20


@click.command("baseline")
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The repository, whose last commit is tested. [default: this folder]",
)
@sandbox_option
@environment_option
@data_dir_option
@json_option
def show_baseline(repo: Path, as_json: bool, **options: object) -> int:
    """Run a repository's own tests on its last commit, as a run does before anything changes.

    The command is `test` of the repository's settings, else pytest, `npm test` or `node --test`, whichever
    has tests. It runs in a sandbox, for at most MULTI_AGENT_BASELINE_SECONDS; the result is kept in the
    data folder.

    Exits 1 when the tests cannot run.
    """
    settings = quiet_settings(**options)
    if not settings.baseline_seconds:
        raise InvalidInput("MULTI_AGENT_BASELINE_SECONDS is 0, which leaves the baseline out; unset it")
    base, made = asyncio.run(_baseline(settings, repo))
    if as_json:
        shown = {"share": made.share, "obstacle": made.obstacle, "summary": made.sentence}
        print_json({"commit": base.commit, **made.model_dump(mode="json"), **shown})
    else:
        _print(made)
    return EXIT_FAILED if made.obstacle else EXIT_DONE


async def _baseline(settings: Settings, repo: Path) -> tuple[RepositoryBase, Baseline]:
    base = await find_base(settings, repo, _say)
    async with open_artifacts(settings) as artifacts:
        await take_base(artifacts, repo, base, settings, _say)
        return base, await baseline_of(settings, artifacts, base, _say)


def _say(text: str) -> None:
    print_line(text, err=True)


def _print(made: Baseline) -> None:
    print_line(made.sentence)
    _list("failed", made.failing, made.failed)
    _list("not loaded", made.broken, made.not_loaded)
    if made.exit_code and not made.counted:
        for line in made.tail.splitlines()[-_SHOWN:]:
            print_line(f"  | {line}")


def _list(what: str, failures: Iterable[BaselineFailure], total: int) -> None:
    shown = list(failures)[:_SHOWN]
    for one in shown:
        print_line(f"  {what:11} {one.test}: {one.error}")
    if total > len(shown):
        print_line(f"  {what:11} and {total - len(shown)} more")
