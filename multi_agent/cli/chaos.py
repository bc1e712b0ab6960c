"""`chaos`: the crash certificate."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import click

from multi_agent.bootstrap import make_artifacts
from multi_agent.cli.common import sandbox_option, settings_of


@click.command()
@click.option("--minutes", type=float, default=5.0, show_default=True, help="How long to inject faults.")
@click.option("--faults", "names", help="Faults to inject, separated by commas. [default: all]")
@click.option("--round-seconds", type=float, default=15.0, show_default=True, help="Length of one round.")
@click.option("--seed", type=int, help="Start of all chance. [default: the time]")
@click.option("--replay", metavar="SEED/FAULT/ROUND", help="Run one round again, as a report names it.")
@click.option("--postgres", is_flag=True, help="On a private PostgreSQL, with two orchestrators.")
@click.option("--report", "folder", type=click.Path(file_okay=False, path_type=Path), default="chaos-report")
@sandbox_option
def chaos(**options: object) -> int:
    """Kill, stop and starve a real system in a scratch folder, and check that nothing is lost."""
    return asyncio.run(_chaos(**options))  # type: ignore[arg-type]  # click's own types


async def _chaos(
    minutes: float,
    names: str | None,
    round_seconds: float,
    seed: int | None,
    replay: str | None,
    postgres: bool,
    folder: Path,
    sandbox: str | None,
) -> int:
    from multi_agent.chaos.faults import chosen  # noqa: PLC0415 - heavy
    from multi_agent.chaos.runner import FaultResult, Runner  # noqa: PLC0415
    from multi_agent.chaos.world import World, WorldSettings  # noqa: PLC0415

    settings = settings_of()
    scratch = Path(tempfile.mkdtemp(prefix="multi-agent-chaos-"))
    world = await World.start(
        WorldSettings(scratch, postgres=postgres, sandbox=sandbox or "auto", search_path=settings.search_path)
    )
    artifacts = make_artifacts(world.settings)
    runner = Runner(world, artifacts, lambda text: click.echo(text, err=True))
    try:
        results = [FaultResult(f) for f in chosen(names.split(",") if names else [], postgres=postgres)]
        seed = seed or 1
        until = time.monotonic() + minutes * 60
        n = 0
        while time.monotonic() < until and not all(r.reached for r in results):
            for r in results:
                if not r.reached:
                    await runner.round(r, f"{seed}/{r.fault.name}/{n}", round_seconds)
            n += 1
    finally:
        await artifacts.close()
        await world.close()
    print(runner.figures)
    for r in results:
        print(r.fault.name, r.injections, r.points, r.rounds, r.findings)
    return 0
