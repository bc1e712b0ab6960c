"""Which dispatches a death is held against (I7)."""

from __future__ import annotations

import pytest

from contracts.events import Execution, Heartbeat
from orchestrator.deaths import Death, executed


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


def test_only_one_alone_can_be_to_blame() -> None:
    assert Death("w", ("a",), ("b",), None).alone
    assert not Death("w", ("a", "b"), (), None).alone
