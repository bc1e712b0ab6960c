"""`multi-agent gateway`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from multi_agent.cli.options import data_dir_option, metrics_option, settings_of
from multi_agent.runtime.gateway import run_gateway
from multi_agent.telemetry.logs import set_up_logs


@click.command()
@click.option(
    "--model",
    help="Model for every other name: SERVICE:MODEL, or SERVICE:* for the name as it is; with commas, "
    "several, each asked where those before it cannot answer.",
)
@click.option(
    "--map",
    "rules",
    multiple=True,
    metavar="PATTERN=SERVICE:MODEL",
    help="Model for names that match, with * for any characters; repeatable, the first counts.",
)
@click.option("--big", "gateway_big", metavar="SERVICE:MODEL", help="Model for names with `opus`.")
@click.option("--middle", "gateway_middle", metavar="SERVICE:MODEL", help="Model for names with `sonnet`.")
@click.option("--small", "gateway_small", metavar="SERVICE:MODEL", help="Model for names with `haiku`.")
@click.option("--host", "gateway_host", help="Where to listen. [default: 127.0.0.1]")
@click.option("--port", "gateway_port", type=click.IntRange(0, 65535), help="The port. [default: 8040]")
@click.option(
    "--keys",
    "gateway_keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the keys that callers must show (see `gateway-key`); needed to listen elsewhere than here.",
)
@click.option(
    "--log-bodies",
    "gateway_log_bodies",
    is_flag=True,
    default=None,
    help="Keep requests and answers in the request log too (see `debug`), without the keys that are known.",
)
@metrics_option
@data_dir_option
def gateway(rules: tuple[str, ...], **options: object) -> None:
    """Serve models to any program, in the format that it speaks: Anthropic's, OpenAI's or Google's.

    Callers write to its address instead of a service's, and are answered by the models that you name. It
    alone has the keys of services.
    """
    settings = settings_of(gateway_map=",".join(rules) or None, **options)
    set_up_logs(settings.log_level, settings.redactor, process="gateway", serves=settings.data)
    asyncio.run(run_gateway(settings))
