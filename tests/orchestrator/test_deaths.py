"""Which dispatches a death is held against (I7)."""

from __future__ import annotations

import pytest

from contracts.messages.payloads import Execution, Heartbeat
from orchestrator.scheduling.crash_attribution import executed, executed_alone


def heartbeat(**started: bool) -> Heartbeat:
    held = tuple(
        Execution(dispatch_id=name, execution_id=f"e-{name}", started=is_started)
        for name, is_started in started.items()
    )
    return Heartbeat(
        worker_id="w", host="h", pid=1, roles=(), streams=(), slots=2, sequence=1, executions=held
    )


@pytest.mark.parametrize(
    ("listed", "read", "expected"),
    [
        ({"a": True}, ["a"], {"a"}),
        ({"a": True}, ["a", "b"], {"a", "b"}),
        ({"a": True, "b": False}, None, {"a"}),
        ({}, ["a"], {"a"}),
        ({"s1": True}, ["s1"], {"s1"}),
        ({"s1": True}, ["s1", "a"], {"s1"}),
        ({"s1": True}, None, {"s1"}),
        ({"a": True, "s1": False}, ["a", "s1"], {"a"}),
        ({}, ["s1"], set()),
        ({"s1": True}, ["a", "b"], {"a", "b"}),
    ],
)
def test_what_was_executed(listed: dict[str, bool], read: list[str] | None, expected: set[str]) -> None:
    assert executed(heartbeat(**listed), read, lambda name: name.startswith("s")) == expected


def test_a_worker_that_nobody_heard_of_executed_what_it_had_read() -> None:
    assert executed(None, ["a"], lambda _: False) == {"a"}


@pytest.mark.parametrize(
    ("listed", "read", "expected"),
    [
        ({"a": True}, ["a"], True),
        ({"s1": True}, ["s1"], True),
        ({"a": True, "b": True}, ["a", "b"], False),
        ({"a": True}, ["a", "b"], False),
        ({"a": True, "b": True}, ["a"], False),
        ({"a": True}, ["b"], False),
        ({"a": True}, [], False),
        ({"a": True}, None, False),
        ({"s1": False}, ["s1"], False),
        ({}, ["a"], False),
    ],
)
def test_one_is_to_blame_only_when_heartbeat_and_bus_say_that_it_was_all(
    listed: dict[str, bool], read: list[str] | None, expected: bool
) -> None:
    assert executed_alone(heartbeat(**listed), read) is expected


def test_nobody_is_to_blame_for_the_death_of_a_worker_that_was_never_heard_of() -> None:
    assert not executed_alone(None, ["a"])
