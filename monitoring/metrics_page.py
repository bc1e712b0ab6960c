"""The page that lists every metric, from the code."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from agents.worker.metrics import WorkerMetrics
from multi_agent.gateway.records.metrics import GatewayMetrics
from multi_agent.runtime.observing.build_info import BuildInfo
from multi_agent.telemetry.model_metrics import ModelMetrics
from orchestrator.service.metrics import OrchestratorMetrics
from sandbox_runner.service.metrics import HostMetrics

HEAD = """# Metrics

`--metrics-port` of each process serves these at `/metrics`, for Prometheus; that of `up` and `run` serves
what all their processes count. Written by `python -m monitoring` from the code. What they are good for:
[observability](observability.md).

Names and labels of a released version stay: what must change gets a new name beside the old one. A histogram
has three series: `_bucket`, `_sum` and `_count`. `role` and `model` have as many values as you have roles and
models, at most 50 and 100: what comes later is counted as `others`. No label holds the name of a workflow, a
task, a worker or a person.
"""
KINDS = (
    ("Every process", (BuildInfo,)),
    ("Orchestrator", (OrchestratorMetrics,)),
    ("Worker", (WorkerMetrics, ModelMetrics)),
    ("Sandbox host", (HostMetrics,)),
    ("Gateway", (GatewayMetrics,)),
)


class _Kept(CollectorRegistry):
    """Keeps what is registered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def register(self, collector: Any) -> None:
        super().register(collector)
        self.kept.append(collector)


def metrics_of(*kinds: type[Any]) -> list[Any]:
    """The metrics of these classes."""
    registry = _Kept()
    for kind in kinds:
        kind(registry)
    return registry.kept


def row(metric: Any) -> str:
    """One metric; the library shows the names of labels nowhere else."""
    [described] = metric.describe()
    name = described.name + ("_total" if described.type == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{name}` | {described.type} | {labels} | {described.documentation.rstrip('.')} |\n"


def page() -> str:
    """The whole page."""
    text = HEAD
    for name, kinds in KINDS:
        text += f"\n## {name}\n\n| name | kind | labels | meaning |\n|---|---|---|---|\n"
        text += "".join(row(metric) for metric in metrics_of(*kinds))
    return text
