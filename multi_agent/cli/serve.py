"""`up`, `orchestrator`, `worker`: the long-running processes."""

from __future__ import annotations

import asyncio
import re
import signal

import click

from contracts.base.errors import InvalidInput
from multi_agent.bootstrap import find_agents
from multi_agent.cli.common import agents_option, data_dir_option, model_option, sandbox_option, settings_of
from multi_agent.runtime.processes import new_process_id, run_orchestrator, run_sandbox_host, run_worker
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings
from multi_agent.telemetry.logs import set_up_logs

SANDBOX_ROLE = "sandbox"

_redis_option = click.option("--redis-url", help="The bus. [env REDIS_URL]")
_artifacts_option = click.option("--artifact-store", help="Path or URL of the artifact repository.")
_metrics_option = click.option(
    "--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics."
)


@click.command()
@data_dir_option
@click.option("--database-url", help="The database. [env DATABASE_URL; default: SQLite in the data folder]")
@_redis_option
@_artifacts_option
@_metrics_option
@click.option("--orchestrator-id", help="A name that no other orchestrator ever had. [default: made up]")
@click.option("--replaces", metavar="OWNER", help="A dead orchestrator whose lease need not be waited for.")
def orchestrator(orchestrator_id: str | None, replaces: str | None, **options: object) -> None:
    """Own the state of a data folder or a database until stopped."""
    settings = settings_of(**options)
    set_up_logs(settings.log_level, process="orchestrator", cache=True)
    name = _checked_id("--orchestrator-id", orchestrator_id) if orchestrator_id else new_process_id()
    asyncio.run(run_orchestrator(settings, orchestrator_id=name, replaces=replaces))


@click.command()
@click.option(
    "--role", "roles", multiple=True, help="Role to serve; repeatable. [default: all that have an agent]"
)
@agents_option
@click.option("--slots", type=click.IntRange(1, 256), help="Tasks at once. [default: 2]")
@click.option("--worker-id", help="A name that no other worker ever had. [default: made up]")
@model_option
@sandbox_option
@data_dir_option
@_redis_option
@_artifacts_option
@_metrics_option
def worker(
    roles: tuple[str, ...], modules: tuple[str, ...], worker_id: str | None, **options: object
) -> None:
    """Take tasks off the bus and work on them until stopped. Needs Redis and the artifact store only.

    With `--role sandbox` it is a sandbox host instead: it runs programs for workers that were started with
    `--sandbox host`, and needs Redis and a sandbox only.
    """
    settings = settings_of(**options)
    set_up_logs(settings.log_level, process="worker", cache=True)
    name = _checked_id("--worker-id", worker_id) if worker_id else new_process_id()
    if roles == (SANDBOX_ROLE,):
        return asyncio.run(run_sandbox_host(settings, host_id=name))
    if SANDBOX_ROLE in roles:
        raise InvalidInput("--role sandbox stands alone: who holds an engine runs no agent")
    return asyncio.run(run_worker(settings, worker_id=name, roles=roles, modules=modules))


def _checked_id(option: str, given: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", given):
        return given
    raise InvalidInput(f"{option} {given!r}: must be 1 to 100 letters, digits, '_' or '-'")


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. [default: 2]")
@click.option("--slots", type=click.IntRange(1, 256), help="Tasks at once in each worker. [default: 2]")
@click.option(
    "--role", "roles", multiple=True, help="Role to serve; repeatable. [default: all that have an agent]"
)
@agents_option
@model_option
@sandbox_option
@data_dir_option
def up(roles: tuple[str, ...], modules: tuple[str, ...], **options: object) -> None:
    """Serve a data folder with everything it needs, supervised, until stopped."""
    settings = settings_of(**options)
    set_up_logs(settings.log_level, process="supervisor")
    asyncio.run(_up(settings, roles, modules))


async def _up(settings: Settings, roles: tuple[str, ...], modules: tuple[str, ...]) -> None:
    find_agents(modules)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stack = Stack(settings, lambda text: click.echo(text, err=True), roles=roles, modules=modules)
    await stack.start()
    try:
        if stack.joined:
            raise InvalidInput(f"{settings.data} is served already; stop that first")
        click.echo("ready; stop with Ctrl-C", err=True)
        await stopped.wait()
    finally:
        await stack.stop()
