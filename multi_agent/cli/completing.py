"""Completes ids of workflows in shells."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import click

from contracts.base.errors import MultiAgentError
from multi_agent.settings import Settings, load_settings

_MOST: Final = 100


def complete_workflow(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Ids that begin with what was typed, or end with it; none where there is nothing to read."""
    with suppress(MultiAgentError, OSError):
        return asyncio.run(_ids(load_settings({"data_dir": context.params.get("data_dir")}), typed))
    return []


async def _ids(settings: Settings, typed: str) -> list[str]:
    from multi_agent.runtime.services import open_client  # noqa: PLC0415 - `--help` answers at once

    async with open_client(settings) as client:
        return await client.ids(typed or None, _MOST)
