"""Which version each process is of, as a metric. Imported once it is known how metrics are counted."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import REGISTRY, CollectorRegistry, Gauge


class BuildInfo:
    """Counts this process as a living one of its kind and version."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._gauge = Gauge(
            "multi_agent_build_info",
            "Living processes by kind and version",
            ["process", "version"],
            registry=registry,
            multiprocess_mode="livesum",
        )

    def show(self, process: str) -> None:
        """Count this process, which is a "worker" or the like."""
        self._gauge.labels(process, version("multi-agent")).set(1)
