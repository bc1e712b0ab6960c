"""`multi-agent gateway-key`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_json, print_line
from multi_agent.application.audit.effects import recorded
from multi_agent.cli.options import data_dir_option, json_option, settings_of
from multi_agent.gateway.budgets.ledger import read_spent
from multi_agent.gateway.budgets.limits import NANO, KeyLimits, KeySpent, in_units, left_of, shown, spent_of
from multi_agent.gateway.keys import VirtualKey, add_key, change_limits, ledger_path, read_keys, remove_key
from multi_agent.gateway.routes import ANY
from multi_agent.runtime.services import has_database, open_client
from multi_agent.settings import Settings
from orchestrator.core.audit.entries import Fact

_MONEY = click.FloatRange(min=0, min_open=True, max=1_000_000)
_COUNT = click.IntRange(1, 10**9)


@click.command("gateway-key")
@click.argument("key_name", metavar="NAME", required=False)
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
@click.option("--usd-per-day", type=_MONEY, help="Dollars that it may spend on a day of UTC.")
@click.option("--usd", type=_MONEY, help="Dollars that it may spend at all.")
@click.option("--tokens-per-day", type=_COUNT, help="Tokens of requests and answers on a day of UTC.")
@click.option("--requests-per-minute", type=_COUNT)
@click.option("--tokens-per-minute", type=_COUNT)
@click.option("--change", is_flag=True, help="Give a key that there is these limits; others stay.")
@click.option("--remove", is_flag=True, help="Take the key out, so that it counts no more.")
@click.option("--list", "lists", is_flag=True, help="Show all keys, what they have spent, and what is left.")
@data_dir_option
@json_option
def gateway_key(
    key_name: str | None, gateway_keys: Path | None, data_dir: Path | None, lists: bool, **options: Any
) -> None:
    """Make a key for one who calls the gateway, and print it once: the file has a hash of it.

    A gateway that runs knows of it with the next request. What keys with limits have taken is in a ledger
    beside the file, which all gateways with this file share. Where the data folder has a database, its audit
    log says who made, changed and removed keys.
    """
    settings = settings_of(gateway_keys=gateway_keys, data_dir=data_dir)
    path = settings.gateway_keys
    if path is None:
        raise InvalidInput(
            "say in which file the key is to be kept: --keys FILE, or MULTI_AGENT_GATEWAY_KEYS"
        )
    if lists:
        _list(path, as_json=bool(options["as_json"]))
    elif key_name is None:
        raise InvalidInput("say whose key it is: NAME; or --list for those that there are")
    else:
        print_line(_change(settings, path, key_name, options))


def _change(settings: Settings, path: Path, name: str, options: dict[str, Any]) -> str:
    """Do it, and return what is printed."""
    limits = KeyLimits(**{limit: options[limit] for limit in KeyLimits.model_fields})
    if options["remove"]:
        effect, change = "key.remove", partial(_removed, path, name)
    elif options["change"]:
        if not limits.limits:
            raise InvalidInput("say what is to change, such as --usd-per-day 5")
        effect, change = "key.change", partial(_changed, path, name, limits)
    else:
        effect = "key.add"
        change = partial(add_key, path, name, options["patterns"], options["days"], limits)
    facts: dict[str, Fact] = {"key": name, "keys": str(path), **limits.limits}
    # A gateway may be all that there is on a machine.
    return asyncio.run(_recorded(settings, effect, facts, change)) if has_database(settings) else change()


async def _recorded(
    settings: Settings, effect: str, facts: dict[str, Fact], change: Callable[[], str]
) -> str:
    async with open_client(settings) as client, recorded(client.audit, effect, facts):
        return change()


def _removed(path: Path, name: str) -> str:
    remove_key(path, name)
    return f"removed {name} from {path}"


def _changed(path: Path, name: str, limits: KeyLimits) -> str:
    changed = change_limits(path, name, limits)
    said = (f"{limit.replace('_', ' ')} {most:,}" for limit, most in changed.limits.items())
    return f"{name}: {', '.join(said)}"


def _list(path: Path, *, as_json: bool) -> None:
    keys, now = read_keys(path).keys, time.time()
    spent = read_spent(ledger_path(path), [key.name for key in keys], now)
    if as_json:
        print_json([_as_json(key, spent[key.name]) for key in keys])
        return
    for key in keys:
        print_line(f"{key.name}: {', '.join(_facts(key, spent[key.name], now))}")
    if not keys:
        print_line(f"there are no keys in {path}")


def _as_json(key: VirtualKey, spent: KeySpent) -> dict[str, Any]:
    limits = [
        {"name": name, "most": most, "spent": spent_of(name, spent), "left": left_of(name, most, spent)}
        for name, most in key.limits.items()
    ]
    about = {"name": key.name, "models": key.models, "expires": key.expires, "limits": limits}
    return about | {"open_requests": spent.open_requests, "open_usd": spent.open_nano_usd / NANO}


def _facts(key: VirtualKey, spent: KeySpent, now: float) -> Iterator[str]:
    if key.has_expired(now):
        yield "expired"
    yield "all models" if key.models == (ANY,) else f"models {' '.join(key.models)}"
    for name, most in key.limits.items():
        amounts = (most, spent_of(name, spent), left_of(name, most, spent))
        whole, gone, left = (shown(name, in_units(name, amount)) for amount in amounts)
        yield f"{name.replace('_', ' ')} {whole}: {gone} spent, {left} left"
    if spent.open_requests:
        yield f"of which {spent.open_requests:,} open requests may take {shown('usd', spent.open_nano_usd)}"
