"""Which dispatches a death is held against (I7)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from orchestrator.scheduling.crash_attribution import Departure, Hands, death


def hands(started: Iterable[str], read: Iterable[str] | None) -> Hands:
    return Hands(frozenset(started), None if read is None else frozenset(read))


def died(*workers: Hands) -> Departure:
    held = [name for one in workers for name in sorted({*one.started, *(one.read or ())})]
    return death("w", held, workers, lambda name: name.startswith("s"), "last words")


@pytest.mark.parametrize(
    ("started", "read", "executed"),
    [
        (["a"], ["a"], {"a"}),
        (["a"], ["a", "b"], {"a", "b"}),
        (["a"], None, {"a"}),
        ([], ["a"], {"a"}),
        (["s1"], ["s1"], {"s1"}),
        (["s1"], ["s1", "a"], {"s1"}),
        (["s1"], None, {"s1"}),
        (["a"], ["a", "s1"], {"a"}),
        ([], ["s1"], set()),
        (["s1"], ["a", "b"], {"a", "b"}),
    ],
)
def test_what_was_executed(started: list[str], read: list[str] | None, executed: set[str]) -> None:
    found = died(hands(started, read))
    assert set(found.executed) == executed
    assert set(found.waiting) == {*started, *(read or ())} - executed
    assert found.logs == "last words"


@pytest.mark.parametrize(
    ("started", "read", "counted"),
    [
        (["a"], ["a"], {"a"}),
        (["s1"], ["s1"], {"s1"}),
        (["a", "b"], ["a", "b"], set()),
        (["a"], ["a", "b"], set()),
        (["a", "b"], ["a"], set()),
        (["a"], ["b"], set()),
        (["a"], [], set()),
        (["a"], None, set()),
        ([], ["s1"], set()),
        ([], ["a"], set()),
    ],
)
def test_one_is_to_blame_only_when_heartbeat_and_bus_say_that_it_was_all(
    started: list[str], read: list[str] | None, counted: set[str]
) -> None:
    assert died(hands(started, read)).counted == counted


def test_nobody_is_to_blame_when_another_may_have_begun_since() -> None:
    one = Hands(frozenset({"a"}), frozenset({"a"}), others_waited=True)
    assert died(one).counted == frozenset()
    assert died(one, hands([], [])).counted == frozenset()


NOTHING = hands([], [])


@pytest.mark.parametrize(
    ("workers", "executed", "counted"),
    [
        ([hands(["a"], ["a"]), NOTHING], {"a"}, {"a"}),
        ([hands(["a"], ["a"]), hands(["b"], ["b"])], {"a", "b"}, set()),
        ([hands(["a"], ["a"]), hands([], ["b"])], {"a", "b"}, set()),
        ([hands(["a"], ["a"]), hands(["s1"], ["s1"])], {"a", "s1"}, {"s1"}),
        ([hands(["a"], ["a"]), hands(["s1"], None)], {"a", "s1"}, set()),
        ([hands(["a"], ["a"]), hands([], ["s1"])], {"a"}, set()),
        ([hands(["a"], ["a"]), hands([], None)], {"a"}, set()),
        ([hands(["s2"], ["s2"]), hands(["s1"], ["s1"])], {"s1", "s2"}, set()),
        ([hands(["s1"], ["s1", "s2"]), hands(["a"], ["a"])], {"s1", "a"}, set()),
    ],
)
def test_of_what_a_keeper_ran_the_only_one_or_the_only_suspect_is_to_blame(
    workers: list[Hands], executed: set[str], counted: set[str]
) -> None:
    found = died(*workers)
    assert (set(found.executed), set(found.counted)) == (executed, counted)
