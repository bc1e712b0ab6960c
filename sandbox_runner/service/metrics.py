"""The metrics of a sandbox-host process."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from contracts.messages.sandbox import SandboxOutcome
from contracts.ports.sandbox import Verdict

_SECONDS = (0.05, 0.25, 1, 5, 15, 60, 300, 1_800)


class HostMetrics:
    """Counters of one process; make one and share it between the hosts of the process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._executions = Counter(
            "multi_agent_sandbox_executions", "Programs by how they ended", ["verdict"], registry=registry
        )
        # Shown before they happen: the first time is a change then.
        for verdict in Verdict:
            self._executions.labels(verdict.value)
        self._seconds = Histogram(
            "multi_agent_sandbox_seconds",
            "Time from taking a request to its result in seconds",
            buckets=_SECONDS,
            registry=registry,
        )
        self._running = Gauge("multi_agent_sandbox_running", "Programs that run now", registry=registry)
        self._waiting = Gauge(
            "multi_agent_sandbox_waiting", "Requests on the stream that no host has read", registry=registry
        )
        self._dead = Counter(
            "multi_agent_sandbox_dead_messages", "Messages nobody could read", registry=registry
        )

    def finished(self, outcome: SandboxOutcome, seconds: float) -> None:
        self._executions.labels(outcome.verdict).inc()
        self._seconds.observe(seconds)

    def running(self, count: int) -> None:
        self._running.set(count)

    def waiting(self, count: int) -> None:
        self._waiting.set(count)

    def dead(self) -> None:
        self._dead.inc()
