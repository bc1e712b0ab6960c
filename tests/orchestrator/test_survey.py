"""What people who watch are shown of work that waits."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from contracts.messages.budget import Amount, Budget, SpendingLimits
from contracts.messages.journal import TaskDispatched, TaskFailed
from contracts.runtime.bounded_names import OTHERS
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.scheduling.batch import Batch, DeadLetter
from orchestrator.scheduling.survey import Survey, Surveyor
from orchestrator.service.metrics import OrchestratorMetrics
from tests.orchestrator.plans import item, plan

NOW = 1_000.0


def workflow(*changes: dict[str, Any], budget: Budget | None = None) -> Workflow:
    """One with a task for each of these changes."""
    started = Workflow.start("wf", plan(*(item(f"t{n}") for n in range(len(changes)))), shard=1, now=0.0)
    header = started.header._replace(budget=budget)
    tasks = [task._replace(**change) for task, change in zip(started.tasks.values(), changes, strict=True)]
    return Workflow.load(header, tasks)


def surveyed(*workflows: Workflow, at: float = 0.0, by: Surveyor | None = None) -> Survey:
    return (by or Surveyor()).survey(workflows, lambda name: name == "runs", NOW, at)


def test_tasks_that_have_not_ended_are_counted_by_role_and_status() -> None:
    found = surveyed(workflow({"status": TaskStatus.SUCCEEDED}, {"status": TaskStatus.READY}, {}))
    assert found.tasks == {("coder", "ready"): 1, ("coder", "waiting"): 1}


def test_the_oldest_dispatch_that_no_worker_has_started_gives_the_age_of_the_queue() -> None:
    sent = {"status": TaskStatus.DISPATCHED, "dispatch_id": "lies"}
    runs = sent | {"dispatch_id": "runs", "dispatched_at": 1.0}
    found = surveyed(workflow(sent | {"dispatched_at": NOW - 30}, sent | {"dispatched_at": NOW - 70}, runs))
    assert found.queued_seconds == {"coder": 70.0}
    assert surveyed(workflow(runs)).queued_seconds == {"coder": 0.0}


def test_who_waits_for_a_person_is_timed_from_the_first_look_and_anew_after_the_wait() -> None:
    watching, waits = Surveyor(), workflow({"status": TaskStatus.APPROVAL}, {"status": TaskStatus.ANSWER})
    assert surveyed(waits, at=10.0, by=watching).waiting_seconds["waiting_approval"] == 0.0
    asks = workflow({}, {"status": TaskStatus.ANSWER})
    assert surveyed(asks, at=50.0, by=watching).waiting_seconds == {"waiting_answer": 40.0}
    assert surveyed(waits, at=60.0, by=watching).waiting_seconds == {
        "waiting_approval": 0.0,
        "waiting_answer": 50.0,
    }


def test_the_least_part_of_a_budget_that_is_left_is_told() -> None:
    budget = Budget(workflow=SpendingLimits(micro_usd=1_000, tokens=100))
    spent = workflow({"charged": Amount(micro_usd=250, tokens=90)}, budget=budget)
    assert surveyed(spent, workflow({})).budget_left == 0.1
    assert surveyed(workflow({})).budget_left == 1.0


def test_the_more_there_is_to_look_at_the_less_often_it_is_done() -> None:
    watching = Surveyor()
    surveyed(workflow({}), at=0.0, by=watching)
    assert (watching.is_due(4.9), watching.is_due(5.0)) == (False, True)
    many = workflow(*({} for _ in range(100)))
    watching.survey([many] * 1_000, lambda _: False, NOW, 5.0)
    assert (watching.is_due(14.9), watching.is_due(15.0)) == (False, True)


def test_series_begin_at_zero_and_go_back_to_it() -> None:
    registry = CollectorRegistry()
    metrics = OrchestratorMetrics(registry)
    value = registry.get_sample_value
    assert value("multi_agent_journal_events_total", {"kind": "workflow.failed"}) == 0
    labels = {"role": "coder", "status": "ready"}
    metrics.waiting.show(surveyed(workflow({"status": TaskStatus.READY})))
    assert value("multi_agent_open_tasks", labels) == 1
    metrics.waiting.show(Survey())
    assert value("multi_agent_open_tasks", labels) == 0


def test_there_is_an_end_to_the_roles_that_have_series() -> None:
    registry = CollectorRegistry()
    found = Survey()
    found.tasks.update({(f"role{n}", "ready"): 1 for n in range(80)})
    found.queued_seconds.update({f"role{n}": float(n) for n in range(80)})
    OrchestratorMetrics(registry).waiting.show(found)
    value = registry.get_sample_value
    assert value("multi_agent_open_tasks", {"role": OTHERS, "status": "ready"}) == 30
    assert value("multi_agent_oldest_queued_seconds", {"role": OTHERS}) == 79


def test_what_was_committed_is_counted_by_kind() -> None:
    registry = CollectorRegistry()
    batch = Batch(NOW)
    batch.journal += [("wf", TaskDispatched("a", 1, "d1")), ("wf", TaskDispatched("b", 1, "d2"))]
    batch.journal.append(("wf", TaskFailed("a", 1, "x", "y")))
    batch.dead_letters += [DeadLetter("s", "r", b""), DeadLetter("s", "r", b"", "wf", "a")]
    OrchestratorMetrics(registry).committed(batch)
    value = registry.get_sample_value
    assert value("multi_agent_journal_events_total", {"kind": "task.dispatched"}) == 2
    assert value("multi_agent_journal_events_total", {"kind": "task.failed"}) == 1
    assert value("multi_agent_dead_letters_total", {"kind": "task"}) == 1
    assert value("multi_agent_dead_letters_total", {"kind": "message"}) == 1


def test_an_outage_is_counted_once_however_often_it_is_noticed() -> None:
    registry = CollectorRegistry()
    metrics = OrchestratorMetrics(registry)
    for away in (True, True, False, True):
        metrics.away("database", away)
    value = registry.get_sample_value
    assert value("multi_agent_outages_total", {"what": "database"}) == 2
    assert value("multi_agent_away", {"what": "database"}) == 1
    metrics.serves(64)
    assert value("multi_agent_away", {"what": "database"}) == 0
