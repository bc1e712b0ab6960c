"""What the orchestrator measures."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Literal, TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from contracts.messages.journal import JOURNAL_EVENTS
from contracts.messages.journal_rows import kind_of
from contracts.runtime.bounded_names import BoundedNames
from orchestrator.scheduling.batch import Batch
from orchestrator.scheduling.survey import WAITS_FOR_A_PERSON, Survey

_MOST_ROLES: Final = 50
"""Plans name roles, and models make plans."""
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_WORKFLOW_SECONDS: Final = (1, 10, 60, 300, 1_800, 7_200, 28_800, 86_400)

Neighbour: TypeAlias = Literal["bus", "database"]
_Together: TypeAlias = Literal["livesum", "livemax", "livemin"]


class OrchestratorMetrics:
    """Prometheus series of one orchestrator, in the process-wide registry by default."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, registry=registry)

        def seconds(name: str, about: str, buckets: Iterable[float], *labels: str) -> Histogram:
            return Histogram(name, about, labels, buckets=tuple(buckets), registry=registry)

        self.dispatches = counter("multi_agent_dispatches", "Tasks dispatched.")
        self.outcomes = counter("multi_agent_outcomes", "Outcomes received.", "accepted", "status")
        # Looking a series up takes longer than counting.
        self._outcomes = cache(self.outcomes.labels)
        self.commit_seconds = seconds(
            "multi_agent_commit_seconds", "Duration of a batch's transaction.", _SECONDS
        )
        self.bus_seconds = seconds(
            "multi_agent_bus_seconds", "Duration of a question to Redis, one a second.", _SECONDS
        )
        self.workflow_seconds = seconds(
            "multi_agent_workflow_seconds", "Time of a workflow to its end.", _WORKFLOW_SECONDS, "status"
        )
        self.lost = counter("multi_agent_lost_executions", "Executions whose worker died.")
        self.expiries = counter("multi_agent_lease_expiries", "Times a worker was silent for a lease.")
        self.recoveries = counter(
            "multi_agent_recoveries", "Times the state was read again from the database."
        )
        self._outages = counter("multi_agent_outages", "Times the bus or the database went away.", "what")
        self._dead = counter(
            "multi_agent_dead_letters", "Dead letters, of tasks and of messages nobody could read.", "kind"
        )
        self._journal = counter("multi_agent_journal_events", "Entries of the journal by kind.", "kind")
        self._set_up_gauges(registry)
        self.waiting = _WaitingMetrics(registry)
        self._begin_at_zero()

    def _set_up_gauges(self, registry: CollectorRegistry) -> None:
        self.open_workflows = _gauge("multi_agent_open_workflows", "Workflows in memory.", registry)
        self.in_flight = _gauge("multi_agent_dispatched_tasks", "Tasks in flight.", registry)
        self.workers = _gauge("multi_agent_live_workers", "Workers that send heartbeats.", registry)
        self._shards = _gauge("multi_agent_shards_held", "Shards it serves, of 64.", registry)
        self.turn = _gauge(
            "multi_agent_last_turn_timestamp_seconds",
            "When an orchestrator last went round its loop, in seconds since 1970.",
            registry,
            together="livemax",
        )
        self._away = _gauge(
            "multi_agent_away",
            "1 while the bus or the database is away.",
            registry,
            "what",
            together="livemax",
        )
        self._is_away: dict[Neighbour, bool] = {"bus": False, "database": False}

    def _begin_at_zero(self) -> None:
        """Show what has not happened yet: its first time is a change then."""
        for kind in JOURNAL_EVENTS:
            self._journal.labels(kind)
        for kind in ("task", "message"):
            self._dead.labels(kind)
        for what in self._is_away:
            self._outages.labels(what)
            self._away.labels(what)

    def outcome(self, status: str, *, accepted: bool) -> None:
        """Count an outcome that was accepted or refused."""
        self._outcomes("true" if accepted else "false", status).inc()

    def committed(self, batch: Batch) -> None:
        """Count what a transaction has written."""
        for kind, count in Tally(type(entry) for _, entry in batch.journal).items():
            self._journal.labels(kind_of(kind)).inc(count)
        for letter in batch.dead_letters:
            self._dead.labels("task" if letter.task_id else "message").inc()

    def serves(self, shards: int) -> None:
        """Say how many shards it has taken, for which the database had to be there."""
        self._shards.set(shards)
        self.away("database", False)

    def away(self, what: Neighbour, is_away: bool) -> None:
        """Say that a neighbour was noticed to be away, or to be there, however often."""
        if is_away and not self._is_away[what]:
            self._outages.labels(what).inc()
        self._is_away[what] = is_away
        self._away.labels(what).set(is_away)


class _WaitingMetrics:
    """What waits, as the last survey found it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tasks = _gauge(
            "multi_agent_open_tasks", "Tasks in memory that have not ended.", registry, "role", "status"
        )
        self._queued = _gauge(
            "multi_agent_oldest_queued_seconds",
            "How long the oldest dispatch has waited for a worker to start it.",
            registry,
            "role",
            together="livemax",
        )
        self._waiting = _gauge(
            "multi_agent_oldest_waiting_seconds",
            "How long this process has seen the oldest task wait for a person.",
            registry,
            "status",
            together="livemax",
        )
        self._budget_left = _gauge(
            "multi_agent_budget_left_ratio",
            "Part of its budget that the workflow with the least has left, 1 without budgets.",
            registry,
            together="livemin",
        )
        self._role = BoundedNames(_MOST_ROLES)
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}
        self.show(Survey())

    def show(self, survey: Survey) -> None:
        """Show what a survey found, and 0 for what was there before."""
        tasks: Tally[tuple[str, ...]] = Tally()
        for (role, status), count in survey.tasks.items():
            tasks[self._role(role), status] += count
        queued: dict[tuple[str, ...], float] = {}
        for role, seconds in survey.queued_seconds.items():
            name = (self._role(role),)
            queued[name] = max(queued.get(name, 0.0), seconds)
        waiting: dict[tuple[str, ...], float] = {
            (status.value,): survey.waiting_seconds.get(status, 0.0) for status in WAITS_FOR_A_PERSON
        }
        self._set(self._tasks, tasks)
        self._set(self._queued, queued)
        self._set(self._waiting, waiting)
        self._budget_left.set(survey.budget_left)

    def _set(self, gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
        shown = self._shown.setdefault(gauge, set())
        shown.update(values)
        for names in shown:
            gauge.labels(*names).set(values.get(names, 0.0))


def _gauge(
    name: str, about: str, registry: CollectorRegistry, *labels: str, together: _Together = "livesum"
) -> Gauge:
    """What holds while the process lives; where several count together, their sum, most or least."""
    return Gauge(name, about, labels, registry=registry, multiprocess_mode=together)
