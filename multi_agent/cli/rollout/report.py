"""`multi-agent rollout report`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from contracts.base.printing import print_line
from multi_agent.application.rollouts.standing import standing_of
from multi_agent.cli.options import data_dir_option, database_option, quiet_settings
from multi_agent.cli.rollout.standing_text import open_rollouts
from multi_agent.rollout.report import CurvePoint, ReportedDecision, RolloutReport, render_report
from multi_agent.settings import Settings


@click.command()
@click.argument("name", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("rollout.html"),
    show_default=True,
    help="The page.",
)
@database_option
@data_dir_option
def report(name: str | None, output: Path, **options: object) -> None:
    """Write one page about the rollout NAME, by default the newest: curves, figures, and every decision."""
    page = asyncio.run(_page(quiet_settings(**options), name))
    output.write_text(page, "utf-8")
    print_line(f"written: {output}")


async def _page(settings: Settings, name: str | None) -> str:
    async with open_rollouts(settings) as store:
        standing = await standing_of(store, name, time.time())
        decisions = await store.decisions(standing.row.rollout_id)
        points = await store.curves(standing.row.rollout_id)
    return render_report(
        RolloutReport(
            standing.row.rollout_id,
            standing.row.state,
            standing.row.stage + 1,
            standing.plan,
            standing.figures,
            standing.decision,
            tuple(ReportedDecision(one.at, one.action, one.who, one.stage + 1, one.why) for one in decisions),
            tuple(CurvePoint(*point) for point in points),
        )
    )
