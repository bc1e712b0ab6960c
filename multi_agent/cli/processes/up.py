"""`multi-agent up`."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

import click

from contracts.base.errors import ModelUnavailable
from contracts.base.printing import print_line
from multi_agent.application.data_folder import make_data_folder
from multi_agent.bootstrap import check_model, find_agents
from multi_agent.cli.options import (
    agents_option,
    data_dir_option,
    environment_option,
    metrics_option,
    model_option,
    on_event_option,
    roles_option,
    sandbox_option,
    settings_of,
)
from multi_agent.runtime.beside import beside
from multi_agent.runtime.gateway import check_gateway
from multi_agent.runtime.observing.bus_watch import watched
from multi_agent.runtime.observing.event_hooks import told
from multi_agent.runtime.observing.hooks import Hook, audit_hook, read_hook
from multi_agent.runtime.observing.shared_metrics import served_metrics
from multi_agent.runtime.observing.trace_export import exported
from multi_agent.runtime.served_paths import served_paths
from multi_agent.runtime.services import open_client
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings
from multi_agent.telemetry.logs import set_up_logs
from orchestrator.client.database_retry import DatabaseRetry

_LOOK_SECONDS: Final = 0.2


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. [default: 2]")
@click.option("--slots", type=click.IntRange(1, 256), help="Tasks at once in each worker. [default: 2]")
@roles_option
@agents_option
@model_option
@sandbox_option
@environment_option
@metrics_option
@click.option(
    "--gateway",
    "gateway_port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Also serve models to any program at this port, with the settings of `gateway`.",
)
@on_event_option
@data_dir_option
def up(
    roles: tuple[str, ...],
    modules: tuple[str, ...],
    hooks: tuple[str, ...],
    gateway_port: int | None,
    **options: object,
) -> None:
    """Serve a data folder with everything it needs, supervised, until stopped."""
    settings = settings_of(gateway_port=gateway_port, **options)
    set_up_logs(settings.log_level, settings.redactor, process="supervisor", serves=settings.data)
    told_to = list(map(read_hook, hooks))
    audit_hook(settings)  # one that cannot be read is refused before anything starts
    make_data_folder(settings.data)
    if gateway_port is not None:
        check_gateway(settings)
    with served_metrics(settings):
        stack = Stack(settings, _say, roles=roles, modules=modules, gateway_port=gateway_port)
        asyncio.run(_up(stack, modules, told_to))


async def _up(stack: Stack, modules: tuple[str, ...], hooks: list[Hook]) -> None:
    find_agents(modules)  # a module that cannot be imported is refused before anything starts
    try:
        for line in await check_model(stack.settings):
            print_line(line, err=True)
    except ModelUnavailable as error:
        print_line(f"tasks that need the model wait: {error}", err=True)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    begun = time.time()
    await stack.start(join=False)
    try:
        async with (
            watched(stack.trouble, _say, _say),
            told(stack.settings, hooks, _say),
            exported(stack.settings, _say),
            beside(_announce(stack.settings, begun)),
        ):
            await served_paths(stack.settings).during(stopped.wait())
    finally:
        await stack.stop()


async def _announce(settings: Settings, begun: float) -> None:
    """Say once that it is ready, when an orchestrator and a worker are."""
    _say("stop with Ctrl-C")
    async with open_client(settings) as client:
        retry = DatabaseRetry()
        while True:
            workers = await retry.call(client.workers)
            if any(one.joined_at >= begun for one in workers):
                return _say("ready: an orchestrator and a worker have met")
            await asyncio.sleep(_LOOK_SECONDS)


def _say(text: str) -> None:
    print_line(text, err=True)
