"""`multi-agent verify`: are the promises kept?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from multi_agent.bootstrap import make_artifacts
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.common import data_dir_option, json_option, opened_services, print_json, settings_of
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from contracts.ports.bus import InspectPort
    from orchestrator.diagnosis.verify import VerificationReport

PROMISES = {
    "I1": "every open task is in somebody's hands",
    "I2": "every task counts once",
    "I3": "what was accepted is what Git holds",
    "I6": "nothing started before what it needs; Git is sound",
}


@click.command()
@data_dir_option
@json_option
def verify(as_json: bool, **options: object) -> int:
    """Check the promises against the database, Redis and Git, while everything runs; changes nothing.

    Exits 1 when one is broken. What looks wrong is looked at again two leases later.
    """
    report = asyncio.run(_verify(settings_of(**options)))
    if as_json:
        print_json({"checked": report.checked, "violations": [asdict(one) for one in report.violations]})
    else:
        _print_report(report)
    return EXIT_FAILED if report.violations else EXIT_DONE


async def _verify(settings: Settings) -> VerificationReport:
    from orchestrator.diagnosis.verify import examine  # noqa: PLC0415 - heavy

    local = "://" not in settings.artifacts
    async with opened_services(settings) as (database, found):
        bus = found
        if bus is not None and settings.redis_url is None and not await _answers(bus):
            click.echo("the private Redis does not run; what workers hold was not checked", err=True)
            bus = None
        artifacts = make_artifacts(settings) if local else None
        try:
            return await examine(database, bus, artifacts, listen_seconds=2 * settings.lease_seconds)
        finally:
            if artifacts is not None:
                await artifacts.close()


async def _answers(bus: InspectPort) -> bool:
    try:
        await bus.depth(Channels.DEAD_LETTERS)
    except BusUnavailable:
        return False
    return True


def _print_report(report: VerificationReport) -> None:
    for promise, text in PROMISES.items():
        broken = [one for one in report.violations if one.promise == promise]
        state = f"{len(broken)} BROKEN" if broken else "kept"
        click.echo(f"{promise}  {state:<10}  {report.checked[promise]:>7} checked  {text}")
        for one in broken:
            where = "/".join(part for part in (one.workflow_id, one.task_id) if part)
            click.echo(f"      {where or 'store'}: {one.message}")
