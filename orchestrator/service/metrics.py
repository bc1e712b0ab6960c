"""What the orchestrator measures."""

from __future__ import annotations

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram


def _gauge(name: str, about: str, registry: CollectorRegistry) -> Gauge:
    """What holds while the process lives; where several count together, their sum."""
    return Gauge(name, about, registry=registry, multiprocess_mode="livesum")


class OrchestratorMetrics:
    """Prometheus series of one orchestrator, in the process-wide registry by default."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.dispatches = Counter("multi_agent_dispatches", "Tasks dispatched.", registry=registry)
        self.outcomes = Counter(
            "multi_agent_outcomes", "Outcomes received.", ["accepted", "status"], registry=registry
        )
        # Looking a series up takes longer than counting.
        self._outcomes = cache(self.outcomes.labels)
        self.commit_seconds = Histogram(
            "multi_agent_commit_seconds",
            "Duration of a batch's transaction.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
            registry=registry,
        )
        self.open_workflows = _gauge("multi_agent_open_workflows", "Workflows in memory.", registry)
        self.in_flight = _gauge("multi_agent_dispatched_tasks", "Tasks in flight.", registry)
        self.workers = _gauge("multi_agent_live_workers", "Workers that send heartbeats.", registry)
        self.lost = Counter("multi_agent_lost_executions", "Executions whose worker died.", registry=registry)
        self.recoveries = Counter(
            "multi_agent_recoveries", "Times the state was read again from the database.", registry=registry
        )

    def outcome(self, status: str, *, accepted: bool) -> None:
        """Count an outcome that was accepted or refused."""
        self._outcomes("true" if accepted else "false", status).inc()
