"""`multi-agent worker`."""

from __future__ import annotations

import asyncio

import click

from contracts.base.errors import InvalidInput
from multi_agent.cli.options import (
    agents_option,
    artifacts_option,
    data_dir_option,
    environment_option,
    metrics_option,
    model_option,
    redis_option,
    roles_option,
    sandbox_option,
    settings_of,
)
from multi_agent.cli.processes.process_id import check_process_id
from multi_agent.runtime.processes import new_process_id, run_sandbox_host
from multi_agent.runtime.worker import run_worker
from multi_agent.telemetry.logs import set_up_logs

SANDBOX_ROLE = "sandbox"


@click.command()
@roles_option
@agents_option
@click.option("--slots", type=click.IntRange(1, 256), help="Tasks at once. [default: 2]")
@click.option("--worker-id", help="A name that no other worker ever had. [default: made up]")
@model_option
@sandbox_option
@environment_option
@data_dir_option
@redis_option
@artifacts_option
@metrics_option
def worker(
    roles: tuple[str, ...], modules: tuple[str, ...], worker_id: str | None, **options: object
) -> None:
    """Run the tasks of some or all roles until stopped. Needs Redis and the artifact store only.

    With `--role sandbox` it is a sandbox host instead: it runs programs for workers that were started with
    `--sandbox host`, and needs Redis and a sandbox only; one that knows the artifact store opens workspaces.
    """
    settings = settings_of(**options)
    set_up_logs(settings.log_level, settings.redactor, process="worker", serves=settings.data)
    name = check_process_id("--worker-id", worker_id) if worker_id else new_process_id()
    if roles == (SANDBOX_ROLE,):
        return asyncio.run(run_sandbox_host(settings, host_id=name))
    if SANDBOX_ROLE in roles:
        raise InvalidInput("--role sandbox stands alone: a process that holds an engine runs no agent")
    return run_worker(settings, worker_id=name, roles=roles, modules=modules)
