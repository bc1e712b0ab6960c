"""`multi-agent budget raise`."""

from __future__ import annotations

import asyncio

import click

from contracts.messages.budget import MOST_TOKENS, SpendingLimits
from multi_agent.application.decisions import raise_budget
from multi_agent.cli.options import Dollars, data_dir_option, settings_of, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command("raise")
@workflow_argument
@click.argument("usd", required=False, type=Dollars())
@click.option("--tokens", type=click.IntRange(1, MOST_TOKENS), help="Raise what it may use to this, in all.")
@data_dir_option
def raise_limit(workflow: str, usd: float | None, tokens: int | None, **options: object) -> None:
    """Raise what WORKFLOW may spend to USD, in all; what waits for it goes on where it was.

    Nothing is paid twice. Both limits are those of the whole workflow, and only ever raised.
    """
    if usd is None and tokens is None:
        raise click.UsageError("say to what: USD, or --tokens N, or both")
    asyncio.run(_raise(settings_of(**options), workflow, SpendingLimits.of(usd, tokens)))


async def _raise(settings: Settings, workflow: str, limits: SpendingLimits) -> None:
    async with open_client(settings) as client:
        workflow_id = await client.resolve(workflow)
        result = await raise_budget(client, workflow_id, limits, caller())
    parts = [f"${limits.usd:,.4f}"] if limits.usd is not None else []
    parts += [f"{limits.tokens:,} tokens"] if limits.tokens is not None else []
    print_result(result, f"{workflow_id} may spend {' and '.join(parts)} in all")
