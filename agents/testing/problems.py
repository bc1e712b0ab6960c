"""Says why the events of a run prove nothing: what is missing, and what contradicts what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from agents.testing.declared import SkipPromises
from agents.testing.harness_report import Event, Run

_TESTS_FAILED: Final = 1
_EXIT_MEANING: Final = {2: "interrupted", 3: "an error inside pytest", 4: "a usage error", 5: "no tests"}
_MAX_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the events of one run must show."""

    canaries: frozenset[str]
    """Ids of tests that must fail."""
    expected: frozenset[str] = frozenset()
    """Ids, without parameters, of tests that must be collected."""
    twins: Mapping[str, str] = field(default_factory=dict)
    """Id of a test, without parameters -> id of its copy that must fail when the test passes."""
    skips: SkipPromises = field(default_factory=SkipPromises)
    """What the source of the tests says about skips."""
    plain: frozenset[str] = frozenset()
    """Ids, without parameters, of tests that say themselves when they came to their end."""

    def is_extra(self, test_id: str) -> bool:
        """Whether the harness added the test."""
        return test_id in self.canaries or base_id(test_id) in self.twins.values()


def run_problems(run: Run, wanted: Expectation, *, fails: bool, known: Set[str]) -> tuple[str, ...]:
    """Why a run cannot be trusted.

    fails: whether a test of the project failed in it.
    known: what is odd and no problem, see `oddities`; names among them the harness did not look after.
    """
    found = session_problems(run, wanted, fails=fails, known=known)
    return tuple(found) or tuple(_missing(run.events, wanted))


def oddities(run: Run, wanted: Expectation) -> frozenset[str]:
    """What honest code may do too: names of the test program that it changed, else ids of unended tests.

    Once such a name is changed, no test says any more that it came to its end.
    """
    return frozenset(_changed(run.events) or _passed_without_end(run.events, wanted.plain))


def session_problems(run: Run, wanted: Expectation, *, fails: bool, known: Set[str]) -> Iterable[str]:
    """Why the outcomes of a run cannot be trusted. `fails` and `known`: see run_problems."""
    ends = [event for event in run.events if event.kind == "end"]
    if run.rewritten:
        shown = ", ".join(map(bounded, run.rewritten[:_MAX_SHOWN]))
        yield f"files of the tests or the test program were changed while they ran: {shown}"
    elif not ends:
        yield "the test session did not come to its end: the code under test ended the process"
    elif run.exit_code in _EXIT_MEANING:
        yield f"the test program ended with exit code {run.exit_code}: {_EXIT_MEANING[run.exit_code]}"
    elif not _all_failed(run.events, wanted.canaries) or _twins_passed(run.events, wanted.twins):
        yield "tests that must fail did not fail: the outcomes are tampered with"
    elif [event.exit_code for event in ends] != [run.exit_code] or run.exit_code != _TESTS_FAILED:
        yield "the exit code of the test program contradicts the outcomes: they are tampered with"
    elif changed := _changed(run.events):
        yield "the code under test changed the test program: " + ", ".join(map(bounded, changed[:_MAX_SHOWN]))
    elif _refuted(run.events) and not fails:
        yield "an assertion of the tests did not hold, and none of them failed"
    elif unended := [test for test in _passed_without_end(run.events, wanted.plain) if test not in known]:
        shown = ", ".join(map(bounded, dict.fromkeys(map(base_id, unended[:_MAX_SHOWN]))))
        yield f"tests count as passed that did not come to their end: {shown}"


def _refuted(events: list[Event]) -> bool:
    """Whether more assertions told that they do not hold than there are tests that may fail."""
    counts = Counter(event.outcome if event.kind == "test" else event.kind for event in events)
    return counts["refuted"] > counts["skipped"]


def _changed(events: list[Event]) -> list[str]:
    return [name for event in events for name in event.changed]


def _passed_without_end(events: list[Event], plain: frozenset[str]) -> list[str]:
    """The ids of such tests, with their parameters, all of which count where one did not end."""
    ended = Counter(event.id for event in events if event.kind == "ran")
    passed = [
        event.id
        for event in events
        if event.kind == "test" and event.when == "call" and event.outcome == "passed"
    ]
    counts = Counter(map(base_id, passed))
    bad = {test for test, count in counts.items() if test in plain and count > ended[test]}
    return sorted(test for test in set(passed) if base_id(test) in bad)


def _all_failed(events: list[Event], canaries: frozenset[str]) -> bool:
    outcomes = [
        (event.id, event.outcome) for event in events if event.kind == "test" and event.id in canaries
    ]
    return sorted(outcomes) == sorted((canary, "failed") for canary in canaries)


def _twins_passed(events: list[Event], twins: Mapping[str, str]) -> bool:
    """Whether a twin passed or did not run although its test passed."""
    called = [event for event in events if event.kind == "test" and event.when == "call"]
    passed = {event.id for event in called if event.outcome == "passed"}
    for test, twin in twins.items():
        originals = [event for event in called if base_id(event.id) == test]
        if not originals or any(event.slow or event.outcome != "passed" for event in originals):
            continue
        ran = any(event.kind == "test" and base_id(event.id) == twin for event in events)
        if not ran or any(base_id(name) == twin for name in passed):
            return True
    return False


def base_id(test_id: str) -> str:
    """The id without parameters."""
    return test_id.partition("[")[0]


def _missing(events: list[Event], wanted: Expectation) -> Iterable[str]:
    listed = [test for event in events if event.kind == "collected" for test in event.ids]
    collected = {test for test in listed if not wanted.is_extra(test)}
    reported = {event.id for event in events if event.kind == "test"}
    silent = sorted(collected - reported)
    if silent:
        yield "tests without an outcome: " + ", ".join(silent[:_MAX_SHOWN])
    broken = {event.id for event in events if event.kind == "not_collected"}
    found = {name for test in collected | reported for name in (test, base_id(test))}
    absent = sorted(test for test in wanted.expected - found if test.partition("::")[0] not in broken)
    if absent:
        yield "tests that were not run: " + ", ".join(absent[:_MAX_SHOWN])


def bounded(test_id: str) -> str:
    """The id as it may be shown."""
    shown = "".join(char if char.isprintable() else "?" for char in test_id)
    return shown if len(shown) <= 300 else shown[:297] + "..."
