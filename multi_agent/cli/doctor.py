"""`multi-agent doctor`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import asdict, dataclass

import click

from contracts.base.errors import MultiAgentError
from multi_agent.bootstrap import HOST, make_bus, make_database, make_model, sandbox_settings
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.common import (
    data_dir_option,
    json_option,
    model_option,
    print_json,
    sandbox_option,
    settings_of,
)
from multi_agent.embedded.probe import probe_redis
from multi_agent.settings import Settings


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One line: `needed` ones decide the exit code."""

    name: str
    found: bool
    detail: str
    needed: bool = False


@click.command()
@data_dir_option
@model_option
@sandbox_option
@json_option
def doctor(as_json: bool, **options: object) -> int:
    """Show what was found on this machine and what is missing. Exits 1 when something needed is missing."""
    findings = asyncio.run(_examine(settings_of(**options)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "ok     " if finding.found else ("MISSING" if finding.needed else "absent ")
            click.echo(f"{mark}  {finding.name:<22} {finding.detail}")
    return EXIT_FAILED if any(one.needed and not one.found for one in findings) else EXIT_DONE


async def _examine(settings: Settings) -> list[DoctorFinding]:
    git = shutil.which("git", path=settings.search_path)
    return [
        DoctorFinding("python", True, sys.version.split()[0], needed=True),
        DoctorFinding("git", git is not None, git or "install git", needed=True),
        await _bus(settings),
        *[
            DoctorFinding(f"redis: {one.name}", one.found, one.detail)
            for one in probe_redis(settings.search_path)
        ],
        await _database(settings),
        *await _sandboxes(settings),
        await _model(settings),
    ]


async def _bus(settings: Settings) -> DoctorFinding:
    if settings.redis_url is None:
        return DoctorFinding("bus", True, "a private Redis is started when needed (REDIS_URL is not set)")
    bus = make_bus(settings)
    try:
        await bus.incarnation()
        return DoctorFinding("bus", True, "REDIS_URL answers", needed=True)
    except MultiAgentError as error:
        return DoctorFinding("bus", False, str(error), needed=True)
    finally:
        await bus.close()


async def _database(settings: Settings) -> DoctorFinding:
    kind = settings.database.partition(":")[0]
    try:
        database = make_database(settings)
        try:
            await database.read(lambda connection: None)
        finally:
            await database.close()
    except (MultiAgentError, OSError) as error:
        return DoctorFinding("database", False, str(error), needed=True)
    return DoctorFinding("database", True, kind, needed=True)


async def _sandboxes(settings: Settings) -> list[DoctorFinding]:
    from sandbox_runner import survey  # noqa: PLC0415 - heavy

    wanted = sandbox_settings(settings)
    if settings.sandbox == HOST and settings.redis_url is not None:
        return [await _sandbox_hosts(settings)]
    found = await survey(wanted)
    lines = [
        DoctorFinding(
            f"sandbox: {one.name}", one.ready, one.reason if one.ready else f"{one.reason}; {one.how_to_get}"
        )
        for one in found
    ]
    usable = [one.name for one in found if one.ready and wanted.backend in {"auto", one.name}]
    chosen = f"{usable[0]} will be used" if usable else "none is ready; code never runs without one"
    return [*lines, DoctorFinding("sandbox", bool(usable), chosen, needed=True)]


async def _sandbox_hosts(settings: Settings) -> DoctorFinding:
    from sandbox_runner.service.remote import NO_HOST, find_hosts  # noqa: PLC0415 - only here

    bus = make_bus(settings)
    try:
        hosts = await find_hosts(bus, settings.lease_seconds / 2)
    except MultiAgentError as error:
        return DoctorFinding("sandbox hosts", False, str(error), needed=True)
    finally:
        await bus.close()
    shown = ", ".join(f"{one.backend} on {one.machine} ({one.slots} slots)" for one in hosts)
    return DoctorFinding("sandbox hosts", bool(hosts), shown or NO_HOST, needed=True)


async def _model(settings: Settings) -> DoctorFinding:
    try:
        model = make_model(settings)
    except MultiAgentError as error:
        return DoctorFinding("model", False, str(error), needed=True)
    await model.close()
    hint = "; set MULTI_AGENT_MODEL for requests of your own" if settings.model_spec == "replay" else ""
    return DoctorFinding("model", True, f"{model.name}{hint}", needed=True)
