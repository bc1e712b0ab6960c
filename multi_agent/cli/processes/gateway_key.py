"""`multi-agent gateway-key`."""

from __future__ import annotations

from pathlib import Path

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line
from multi_agent.cli.options import settings_of
from multi_agent.gateway.keys import add_key, remove_key


@click.command("gateway-key")
@click.argument("key_name", metavar="NAME")
@click.option(
    "--keys",
    "gateway_keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file. [env MULTI_AGENT_GATEWAY_KEYS]",
)
@click.option(
    "--models",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Names that it may ask for, with * for any characters; repeatable. [default: all]",
)
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), help="How long it counts. [default: for ever]"
)
@click.option("--remove", is_flag=True, help="Take the key out, so that it counts no more.")
def gateway_key(
    key_name: str, gateway_keys: Path | None, patterns: tuple[str, ...], days: float | None, *, remove: bool
) -> None:
    """Make a key for one who calls the gateway, and print it once: the file has a hash of it.

    A gateway that runs knows of it with the next request.
    """
    path = settings_of(gateway_keys=gateway_keys).gateway_keys
    if path is None:
        raise InvalidInput(
            "say in which file the key is to be kept: --keys FILE, or MULTI_AGENT_GATEWAY_KEYS"
        )
    if remove:
        remove_key(path, key_name)
        print_line(f"removed {key_name} from {path}")
    else:
        print_line(add_key(path, key_name, patterns, days))
