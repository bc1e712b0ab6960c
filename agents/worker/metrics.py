"""The metrics of a worker process."""

from __future__ import annotations

from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from contracts.documents.todo_list import Role
from contracts.messages.payloads import TaskOutcome, Usage
from contracts.runtime.bounded_names import BoundedNames

_SECONDS = (0.05, 0.25, 1, 5, 15, 60, 300, 1_800)
_PERCENT = (0, 50, 70, 80, 90, 95, 99.9, 100)
_GRAVE = ("major", "critical")
_MOST_ROLES = 50
"""Anybody may add agents."""


class WorkerMetrics:
    """Counters of one process; make one and share it between the workers of the process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, registry=registry)

        outcomes = counter("multi_agent_task_outcomes", "Outcomes of executions", "role", "status")
        seconds = Histogram(
            "multi_agent_task_seconds",
            "Time of an execution in seconds",
            ["role"],
            buckets=_SECONDS,
            registry=registry,
        )
        # Looking a series up takes longer than counting.
        self._outcomes, self._seconds = cache(outcomes.labels), cache(seconds.labels)
        self._tokens = counter("multi_agent_model_tokens", "Tokens that models counted", "role", "kind")
        self._calls = counter("multi_agent_model_calls", "Answers of models that executions used", "role")
        self._cost = counter(
            "multi_agent_model_cost_dollars", "Cost of these answers, where prices are known", "role"
        )
        self._verdicts = counter(
            "multi_agent_verdicts", "What tests and reviews said about the work", "role", "verdict"
        )
        self._findings = counter("multi_agent_review_findings", "Findings of reviews", "role", "severity")
        self._coverage = Histogram(
            "multi_agent_coverage_percent",
            "Lines of the code under test that its tests ran, in percent",
            ["role"],
            buckets=_PERCENT,
            registry=registry,
        )
        self._paused = Gauge(
            "multi_agent_worker_paused",
            "1 while a worker takes no work, or only probes, because something it needs is away",
            registry=registry,
            # Of the processes of one worker: whether any of those that live does.
            multiprocess_mode="livemax",
        )
        self._dead = counter("multi_agent_dead_messages", "Messages nobody could read")
        self._role = BoundedNames(_MOST_ROLES)
        # Shown before they happen: the first time is a change then.
        for severity in _GRAVE:
            self._findings.labels(Role.REVIEWER.value, severity)

    def finished(self, role: str, outcome: TaskOutcome) -> None:
        role = self._role(role)
        self._outcomes(role, outcome.status).inc()
        self._seconds(role).observe(outcome.seconds)
        if outcome.usage.model_calls:
            self._consumed(role, outcome.usage)
        if outcome.verdict:
            self._verdicts.labels(role, outcome.verdict).inc()
        if outcome.tests and outcome.tests.coverage_percent is not None:
            self._coverage.labels(role).observe(outcome.tests.coverage_percent)
        for finding in outcome.review.findings if outcome.review else ():
            self._findings.labels(role, finding.severity).inc()

    def _consumed(self, role: str, usage: Usage) -> None:
        self._calls.labels(role).inc(usage.model_calls)
        self._cost.labels(role).inc(usage.cost_usd)
        self._tokens.labels(role, "input").inc(usage.input_tokens)
        self._tokens.labels(role, "output").inc(usage.output_tokens)
        # A part of the input.
        self._tokens.labels(role, "cached_input").inc(usage.cached_input_tokens or 0)

    def paused(self, paused: bool) -> None:
        self._paused.set(paused)

    def dead(self) -> None:
        self._dead.inc()
