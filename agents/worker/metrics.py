"""The metrics of a worker process."""

from __future__ import annotations

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from contracts.messages.payloads import TaskOutcome

_SECONDS = (0.05, 0.25, 1, 5, 15, 60, 300, 1_800)


class WorkerMetrics:
    """Counters of one process; make one and share it between the workers of the process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        outcomes = Counter(
            "multi_agent_task_outcomes", "Outcomes of executions", ["role", "status"], registry=registry
        )
        seconds = Histogram(
            "multi_agent_task_seconds",
            "Time of an execution in seconds",
            ["role"],
            buckets=_SECONDS,
            registry=registry,
        )
        # Looking a series up takes longer than counting.
        self._outcomes, self._seconds = cache(outcomes.labels), cache(seconds.labels)
        self._tokens = Counter(
            "multi_agent_model_tokens", "Tokens that models counted", ["role", "kind"], registry=registry
        )
        self._paused = Gauge(
            "multi_agent_worker_paused",
            "1 while a worker takes no work, or only probes, because something it needs is away",
            registry=registry,
            # Of the processes of one worker: whether any of those that live does.
            multiprocess_mode="livemax",
        )
        self._dead = Counter("multi_agent_dead_messages", "Messages nobody could read", registry=registry)

    def finished(self, role: str, outcome: TaskOutcome) -> None:
        self._outcomes(role, outcome.status).inc()
        self._seconds(role).observe(outcome.seconds)
        if outcome.usage.model_calls:
            self._tokens.labels(role, "input").inc(outcome.usage.input_tokens)
            self._tokens.labels(role, "output").inc(outcome.usage.output_tokens)
            # A part of the input.
            self._tokens.labels(role, "cached_input").inc(outcome.usage.cached_input_tokens or 0)

    def paused(self, paused: bool) -> None:
        self._paused.set(paused)

    def dead(self) -> None:
        self._dead.inc()
