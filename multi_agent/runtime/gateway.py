"""The process of the gateway. It runs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from contracts.base.errors import Unavailable
from contracts.base.processes.bounded_call import SMALL, bounded_call
from multi_agent.bootstrap.gateway import make_budgets, make_gateway, make_request_log
from multi_agent.gateway.preparing import be_ready
from multi_agent.runtime.observing.metrics_server import serve_metrics
from multi_agent.runtime.stopping import on_stop_signals
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from multi_agent.gateway.gateway import Gateway

_READY_SECONDS: Final = 30.0
"""Less than the process for large texts waits for one."""

_log = structlog.get_logger(__name__)


async def run_gateway(settings: Settings) -> None:
    """Serve callers until stopped. Raises NotConfigured."""
    made = make_gateway(settings)
    from multi_agent.gateway.serving import listening  # noqa: PLC0415 - needs the extra that was looked for

    stopped = asyncio.Event()
    on_stop_signals(stopped.set)
    with kept(made, settings) as gateway:
        if settings.metrics_port is not None:
            serve_metrics(settings.metrics_host, settings.metrics_port)
        async with listening(gateway, settings.gateway_host, settings.gateway_port) as url:
            rules = [f"{rule.pattern}={rule.to}" for rule in gateway.rules.routes.rules]
            _log.info("gateway_listening", url=url, models=rules, keys=gateway.keys is not None)
            keeping = asyncio.create_task(_keep_ready())
            await stopped.wait()
            keeping.cancel()


def check_gateway(settings: Settings) -> None:
    """Raise NotConfigured for settings with which a gateway would not start."""
    gateway = make_gateway(settings)
    from multi_agent.gateway.serving import check_free, check_place  # noqa: PLC0415 - see above

    check_place(settings.gateway_host, has_keys=gateway.keys is not None)
    check_free(settings.gateway_host, settings.gateway_port)


@contextmanager
def kept(
    gateway: Gateway, settings: Settings, registry: CollectorRegistry | None = None
) -> Iterator[Gateway]:
    """The same gateway, with its log, its ledger and its metrics while the block runs. Raises NotConfigured.

    registry: of the metrics, by default the one of this process.
    """
    # How to count must be known before this is imported; see metrics_server.
    from prometheus_client import REGISTRY  # noqa: PLC0415

    from multi_agent.gateway.records.metrics import GatewayMetrics  # noqa: PLC0415
    from multi_agent.runtime.observing.build_info import BuildInfo  # noqa: PLC0415

    counted = registry or REGISTRY
    metrics = GatewayMetrics(counted)
    BuildInfo(counted).show("gateway")
    with ExitStack() as stack:
        if log := make_request_log(settings, metrics.dropped):
            stack.callback(log.close)
        if budgets := make_budgets(settings, metrics.left):
            stack.callback(budgets.close)
        yield replace(
            gateway,
            told=(metrics.ended, *([log.add] if log else [])),
            keeps_bodies=log is not None and log.keeps_bodies,
            streaming=metrics.streaming,
            budgets=budgets,
        )


async def _keep_ready() -> None:
    """Keep the process for large requests, so that no caller waits for its start."""
    while True:
        with suppress(Unavailable):
            await bounded_call(SMALL + 1, be_ready)
        await asyncio.sleep(_READY_SECONDS)
