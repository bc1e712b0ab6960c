"""`multi-agent rollout serve`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.cli.options import data_dir_option, database_option, settings_of
from multi_agent.runtime.rollouts.port import serve_rollout
from multi_agent.telemetry.logs import set_up_logs


@click.command()
@click.option("--host", "rollout_host", help="Where to listen. [default: 127.0.0.1]")
@click.option("--port", "rollout_port", type=click.IntRange(0, 65535), help="The port. [default: 8050]")
@database_option
@data_dir_option
def serve(**options: object) -> None:
    """Serve programs that have a TrafficSplitter: the flag, and a place for what they record.

    Promotes and rolls back by the plan's gates while it runs. Programs need no credential of the database;
    elsewhere than on this machine they show MULTI_AGENT_ROLLOUT_TOKEN.
    """
    settings = settings_of(**options)
    set_up_logs(settings.log_level, settings.redactor, process="rollout", serves=settings.data)
    asyncio.run(serve_rollout(settings))
