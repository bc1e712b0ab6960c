"""`multi-agent up`."""

from __future__ import annotations

import asyncio
import signal

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line
from multi_agent.bootstrap import find_agents, make_data_folder
from multi_agent.cli.options import (
    agents_option,
    data_dir_option,
    metrics_option,
    model_option,
    on_event_option,
    roles_option,
    sandbox_option,
    settings_of,
)
from multi_agent.runtime.observing.bus_watch import watched
from multi_agent.runtime.observing.event_hooks import check_hooks, told
from multi_agent.runtime.observing.shared_metrics import served_metrics
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
@metrics_option
@on_event_option
@data_dir_option
def up(roles: tuple[str, ...], modules: tuple[str, ...], hooks: tuple[str, ...], **options: object) -> None:
    """Serve a data folder with everything it needs, supervised, until stopped."""
    settings = settings_of(**options)
    set_up_logs(settings.log_level, settings.redactor, process="supervisor")
    check_hooks(hooks)
    make_data_folder(settings)
    with served_metrics(settings):
        asyncio.run(_up(settings, roles, modules, hooks))


async def _up(
    settings: Settings, roles: tuple[str, ...], modules: tuple[str, ...], hooks: tuple[str, ...]
) -> None:
    find_agents(modules)  # a module that cannot be imported is refused before anything starts
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    stack = Stack(settings, _say, roles=roles, modules=modules)
    await stack.start()
    try:
        if stack.joined:
            raise InvalidInput(f"{settings.data} is served already; stop that first")
        _say("ready; stop with Ctrl-C")
        async with watched(stack.trouble, _say, _say), told(stack.settings, hooks, _say):
            await served_paths(stack.settings).during(stopped.wait())
    finally:
        await stack.stop()


def _say(text: str) -> None:
    print_line(text, err=True)
