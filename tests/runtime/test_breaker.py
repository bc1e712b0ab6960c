"""The circuit breaker, on a clock that the test moves."""

from __future__ import annotations

from contracts.runtime.breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_an_outage_nothing_then_one_probe_then_all() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    assert (breaker.limit(4), breaker.pause_seconds) == (4, 0.0)
    assert breaker.record(outage=True)
    assert (breaker.limit(4), breaker.pause_seconds) == (0, 0.5)
    clock.now = 0.5
    assert (breaker.limit(4), breaker.pause_seconds) == (1, 0.0)
    assert breaker.record(outage=False)
    assert breaker.limit(4) == 4


def test_the_pause_doubles_with_every_failed_probe_up_to_its_cap_and_starts_anew() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    pauses = []
    for _ in range(7):
        breaker.record(outage=True)
        pauses.append(breaker.pause_seconds)
        clock.now += breaker.pause_seconds
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15]
    breaker.record(outage=False)
    breaker.record(outage=True)
    assert breaker.pause_seconds == 0.5


def test_what_ends_during_the_pause_changes_nothing() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.record(outage=True)
    clock.now = 0.25
    assert not breaker.record(outage=True)
    assert not breaker.record(outage=False)
    assert breaker.pause_seconds == 0.25


def test_without_outages_nothing_is_noted() -> None:
    assert not CircuitBreaker(Clock()).record(outage=False)
