"""`multi-agent orchestrator`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.cli.options import (
    artifacts_option,
    data_dir_option,
    database_option,
    metrics_option,
    redis_option,
    settings_of,
)
from multi_agent.cli.processes.process_id import check_process_id
from multi_agent.runtime.processes import new_process_id, run_orchestrator
from multi_agent.telemetry.logs import set_up_logs


@click.command()
@data_dir_option
@database_option
@redis_option
@artifacts_option
@metrics_option
@click.option("--orchestrator-id", help="A name that no other orchestrator ever had. [default: made up]")
@click.option("--replaces", metavar="ID", help="A dead orchestrator whose lease need not be waited for.")
def orchestrator(orchestrator_id: str | None, replaces: str | None, **options: object) -> None:
    """Own the state of a data folder or a database until stopped."""
    settings = settings_of(**options)
    set_up_logs(settings.log_level, settings.redactor, process="orchestrator", serves=settings.data)
    name = check_process_id("--orchestrator-id", orchestrator_id) if orchestrator_id else new_process_id()
    asyncio.run(run_orchestrator(settings, orchestrator_id=name, replaces=replaces))
