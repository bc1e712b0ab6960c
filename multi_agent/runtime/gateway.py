"""The process of the gateway. It runs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio

import structlog

from multi_agent.bootstrap.gateway import make_gateway
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

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
        await stopped.wait()
