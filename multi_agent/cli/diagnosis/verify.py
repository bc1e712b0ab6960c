"""`multi-agent verify`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.diagnosis import INVARIANTS, Verification, verify_system
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.options import data_dir_option, json_option, settings_of
from multi_agent.runtime.services import open_artifacts, open_services
from multi_agent.settings import Settings
from orchestrator.diagnosis.verify import VerificationReport


@click.command()
@data_dir_option
@json_option
def verify(as_json: bool, **options: object) -> int:
    """Check the invariants in the database, Redis and Git, while everything runs; changes nothing.

    Exits 1 when one is broken. What looks wrong is looked at again two leases later.
    """
    verification = asyncio.run(_verify(settings_of(**options)))
    report = verification.report
    if verification.without_bus:
        print_line("the private Redis does not run; what workers hold was not checked", err=True)
    if verification.without_artifacts:
        print_line("the artifact store is at a URL; what is in it was not checked", err=True)
    if as_json:
        print_json({"checked": report.checked, "violations": [asdict(one) for one in report.violations]})
    else:
        _print_report(report)
    return EXIT_FAILED if report.violations else EXIT_DONE


async def _verify(settings: Settings) -> Verification:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        # Only a store on this machine is verified.
        local = "://" not in settings.artifacts
        artifacts = await stack.enter_async_context(open_artifacts(settings)) if local else None
        return await verify_system(
            services.database,
            services.bus,
            artifacts,
            bus_may_be_away=settings.redis_url is None,
            listen_seconds=2 * settings.lease_seconds,
        )


def _print_report(report: VerificationReport) -> None:
    for name, text in INVARIANTS.items():
        broken = [one for one in report.violations if one.promise == name]
        state = f"{len(broken)} BROKEN" if broken else "kept"
        print_line(f"{name}  {state:<10}  {report.checked[name]:>7} checked  {text}")
        for one in broken:
            where = "/".join(part for part in (one.workflow_id, one.task_id) if part)
            print_line(f"      {where or 'store'}: {one.message}")
