"""The process of the gateway. It runs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from contracts.base.errors import Unavailable
from contracts.base.processes.bounded_call import SMALL, bounded_call
from multi_agent.bootstrap.gateway import make_gateway
from multi_agent.gateway.preparing import be_ready
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

_READY_SECONDS: Final = 30.0
"""Less than the process for large texts waits for one."""

_log = structlog.get_logger(__name__)


async def run_gateway(settings: Settings) -> None:
    """Serve callers until stopped. Raises NotConfigured."""
    gateway = make_gateway(settings)
    from multi_agent.gateway.serving import listening  # noqa: PLC0415 - needs the extra that was looked for

    stopped = asyncio.Event()
    on_stop_signals(stopped.set)
    async with listening(gateway, settings.gateway_host, settings.gateway_port) as url:
        rules = [f"{rule.pattern}={rule.to}" for rule in gateway.rules.routes.rules]
        _log.info("gateway_listening", url=url, models=rules, keys=gateway.keys is not None)
        keeping = asyncio.create_task(_keep_ready())
        await stopped.wait()
        keeping.cancel()


async def _keep_ready() -> None:
    """Keep the process for large requests, so that no caller waits for its start."""
    while True:
        with suppress(Unavailable):
            await bounded_call(SMALL + 1, be_ready)
        await asyncio.sleep(_READY_SECONDS)
