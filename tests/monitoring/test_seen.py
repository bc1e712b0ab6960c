"""A real Prometheus that scraped a real run has an answer for every panel, and no alert."""

from __future__ import annotations

from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from contracts.messages.sandbox import SandboxOutcome
from monitoring.boards import BOARDS
from monitoring.panels import Query
from multi_agent.gateway.records.metrics import GatewayMetrics
from multi_agent.models.wire.canonical import WireUsage
from multi_agent.runtime.observing.metrics_server import serve_metrics
from sandbox_runner.service.metrics import HostMetrics
from tests.e2e.conftest import Cli, cli
from tests.e2e.test_being_told import REQUEST, free_port
from tests.gateway.test_debug import ended_line
from tests.project.documented import ROOT
from tests.support.prometheus_server import PrivatePrometheus

__all__ = ["cli"]
RULES = ROOT / "monitoring" / "prometheus" / "alerts.yml"
COUNTED = {
    "max(multi_agent_oldest_waiting_seconds)": 0,
    'sum(multi_agent_journal_events_total{kind="workflow.completed"})': 1,
    'sum(multi_agent_workflow_seconds_count{status="completed"})': 1,
    "sum(multi_agent_dispatches_total)": 7,
    'sum(multi_agent_journal_events_total{kind="task.dispatched"})': 7,
    'sum(multi_agent_build_info{process="orchestrator"})': 1,
    "sum(multi_agent_shards_held)": 64,
    "max(multi_agent_away)": 0,
    'sum(multi_agent_model_requests_total{outcome="ok"}) > bool 0': 1,
    "sum(multi_agent_model_calls_total) > bool 0": 1,
    "sum(multi_agent_coverage_percent_count) > bool 0": 1,
    "sum(multi_agent_open_tasks)": 0,
    "time() - max(multi_agent_last_turn_timestamp_seconds) < bool 30": 1,
}
"""What the one run counts, however it went otherwise."""


def host_and_gateway() -> int:
    """The port of what a sandbox host and a gateway count, which a run without them has not."""
    registry = CollectorRegistry()
    host, gateway, port = HostMetrics(registry), GatewayMetrics(registry), free_port()
    host.finished(SandboxOutcome(request_id="r", host_id="h", verdict="ok", isolation="namespaces"), 0.5)
    gateway.ended(ended_line("a", usage=WireUsage(10, 5, 2)))
    gateway.left("ann", "usd", 2.5)
    serve_metrics("127.0.0.1", port, registry)
    return port


def shown(query: Query) -> str:
    """The query as Grafana sends it."""
    return query.expr.replace("$__rate_interval", "1m")


def without_data(prometheus: PrivatePrometheus) -> list[str]:
    return [
        f"{board.uid}: {panel.title}: {query.expr}"
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
        if not prometheus.ask(shown(query))
    ]


def counted(prometheus: PrivatePrometheus) -> dict[str, float]:
    found = {expr: prometheus.ask(expr) for expr in COUNTED}
    return {expr: float(sample["value"][1]) for expr, [sample] in found.items()}


@pytest.mark.slow
def test_every_panel_has_data_and_no_alert_fires_after_a_good_run(cli: Cli) -> None:
    port = free_port()
    with PrivatePrometheus([port, host_and_gateway()], RULES) as prometheus:
        cli.start("up", "--metrics-port", str(port))
        cli.until((cli.folder / ".multi_agent" / "state.db").exists, "it serves", 90)
        cli("run", REQUEST)
        with suppress(AssertionError):
            cli.until(lambda: without_data(prometheus) == [], "every panel has data", 60)
        assert without_data(prometheus) == []
        # Open tasks are looked at every few seconds.
        with suppress(AssertionError):
            cli.until(lambda: counted(prometheus) == COUNTED, "everything is counted", 60)
        assert counted(prometheus) == COUNTED
        firing = prometheus.ask('ALERTS{alertstate="firing"}')
        assert firing == []
