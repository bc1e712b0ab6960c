"""`multi-agent up`."""

from __future__ import annotations

import asyncio
import signal

import click

from contracts.base.errors import InvalidInput, ModelUnavailable
from contracts.base.printing import print_line
from multi_agent.bootstrap import check_model, find_agents
from multi_agent.cli.options import (
    agents_option,
    data_dir_option,
    model_option,
    roles_option,
    sandbox_option,
    settings_of,
)
from multi_agent.runtime.served_paths import served_paths
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings
from multi_agent.telemetry.logs import set_up_logs


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes. [default: 2]")
@click.option("--slots", type=click.IntRange(1, 256), help="Tasks at once in each worker. [default: 2]")
@roles_option
@agents_option
@model_option
@sandbox_option
@data_dir_option
def up(roles: tuple[str, ...], modules: tuple[str, ...], **options: object) -> None:
    """Serve a data folder with everything it needs, supervised, until stopped."""
    settings = settings_of(**options)
    set_up_logs(settings.log_level, settings.redactor, process="supervisor")
    asyncio.run(_up(settings, roles, modules))


async def _up(settings: Settings, roles: tuple[str, ...], modules: tuple[str, ...]) -> None:
    find_agents(modules)  # a module that cannot be imported is refused before anything starts
    try:
        await check_model(settings)
    except ModelUnavailable as error:
        print_line(f"tasks that need the model wait: {error}", err=True)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stack = Stack(settings, lambda text: print_line(text, err=True), roles=roles, modules=modules)
    await stack.start()
    try:
        if stack.joined:
            raise InvalidInput(f"{settings.data} is served already; stop that first")
        print_line("ready; stop with Ctrl-C", err=True)
        await served_paths(stack.settings).during(stopped.wait())
    finally:
        await stack.stop()
