"""Journal events: what is stored of each kind, and what is read back."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic_core import from_json, to_json

from contracts.messages.journal import (
    JOURNAL_EVENTS,
    JournalEvent,
    OutcomeRefused,
    TaskContested,
    TaskDispatched,
    TaskLost,
    TaskNeedsPlan,
    TaskPlanned,
    TaskSucceeded,
    TaskToBeFixed,
    UnknownEvent,
    WorkflowCompleted,
    WorkflowMerging,
    WorkflowRetried,
    WorkflowStarted,
)
from contracts.messages.journal_rows import decode_journal, encode_journal, kind_of

STORED: list[tuple[JournalEvent, tuple[str, str | None, dict[str, Any]]]] = [
    (WorkflowStarted(), ("workflow.started", None, {})),
    (WorkflowCompleted(None), ("workflow.completed", None, {})),
    (WorkflowRetried(None, "me"), ("workflow.retried", None, {"person": "me"})),
    (WorkflowRetried("a", "me", 2), ("workflow.retried", "a", {"person": "me", "tasks": 2})),
    (TaskDispatched("a", 1, "d"), ("task.dispatched", "a", {"attempt": 1, "dispatch_id": "d"})),
    (
        TaskSucceeded("a", 2, None, "", "d", "w", "passed"),
        (
            "task.succeeded",
            "a",
            {"attempt": 2, "summary": "", "dispatch_id": "d", "worker_id": "w", "verdict": "passed"},
        ),
    ),
    (TaskToBeFixed("a", 1, ("b", "c")), ("task.to_be_fixed", "a", {"cycle": 1, "added": ("b", "c")})),
    (TaskContested("a", "r", ("b",)), ("task.contested", "a", {"reason": "r", "added": ("b",)})),
    (TaskNeedsPlan("a", "r", ("b",)), ("task.needs_plan", "a", {"reason": "r", "added": ("b",)})),
    (TaskPlanned("a", ("b", "c")), ("task.planned", "a", {"added": ("b", "c")})),
    (
        OutcomeRefused("a", "superseded", "d", "e"),
        ("outcome.refused", "a", {"reason": "superseded", "dispatch_id": "d", "execution_id": "e"}),
    ),
]


def test_each_type_has_one_kind() -> None:
    assert list(JOURNAL_EVENTS.values()) == list(get_args(JournalEvent))
    assert [kind_of(model) for model in JOURNAL_EVENTS.values()] == list(JOURNAL_EVENTS)


@pytest.mark.parametrize(("event", "stored"), STORED)
def test_an_event_is_read_as_it_was_written(
    event: JournalEvent, stored: tuple[str, str | None, dict[str, Any]]
) -> None:
    assert encode_journal(event) == stored
    kind, task_id, data = stored
    found = decode_journal(kind, task_id, from_json(to_json(data)))
    assert type(found) is type(event)
    assert found == event


def test_fields_of_a_later_version_are_left_out() -> None:
    found = decode_journal("task.dispatched", "a", {"attempt": 1, "dispatch_id": "d", "region": "north"})
    assert found == TaskDispatched("a", 1, "d")


@pytest.mark.parametrize(
    ("kind", "data"), [("task.teleported", {"to": "mars"}), (kind_of(TaskLost), {"attempt": 1})]
)
def test_what_this_version_does_not_know_keeps_its_data(kind: str, data: dict[str, Any]) -> None:
    found = decode_journal(kind, "a", data)
    assert type(found) is UnknownEvent
    assert found == UnknownEvent(kind, "a", data)


def test_kinds_without_fields_are_told_apart_by_their_type() -> None:
    assert type(decode_journal("workflow.merging", None, {})) is WorkflowMerging
