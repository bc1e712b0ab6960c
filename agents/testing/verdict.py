"""Judges the report of a test session in the sandbox. An exit code alone proves nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from pydantic import ValidationError

from agents.testing.declared import Phase, SkipPromises
from agents.testing.harness_report import Event, Report, Run, unpacked
from agents.testing.stable_text import normalised
from contracts.base.languages import serves_tests
from contracts.documents.reports import TestCase
from contracts.ports.sandbox import SandboxResult, Verdict

Outcome = Literal["passed", "failed", "error", "skipped"]

_TESTS_FAILED: Final = 1
_WORST: Final[tuple[Outcome, ...]] = ("error", "failed", "skipped", "passed")
_EXIT_MEANING: Final = {2: "interrupted", 3: "an error inside pytest", 4: "a usage error", 5: "no tests"}
_REFUSED: Final = 4
_BAD: Final = frozenset({"failed", "error"})
_MAX_SHOWN: Final = 5
_UNPROMISED: Final = "skipped, or expected to fail, which its source does not say"


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

    def is_extra(self, test_id: str) -> bool:
        """Whether the harness added the test."""
        return test_id in self.canaries or _base(test_id) in self.twins.values()


class Failed(NamedTuple):
    """A test that failed, or a file whose tests could not be loaded."""

    test_id: str
    loaded: bool
    message: str
    path: str
    """File of the tree closest to the failure, "" when it is not known."""
    line: int


@dataclass(frozen=True, slots=True)
class Session:
    """The judged outcome of a test session."""

    results: tuple[TestCase, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the results cannot be trusted; empty when they can."""
    coverage_percent: float | None = None
    missing: bool = False
    """The sandbox does not have the test program. Neither the code nor the tests are the cause."""
    first: Failed | None = None
    """The first test that failed, or the first file of tests that could not be loaded."""
    refused: bool = False
    """The test program ended before it looked for tests; its output says why."""

    @property
    def passed(self) -> bool:
        """Whether there is no problem, no failure, and at least one test that passed."""
        outcomes = {case.outcome for case in self.results}
        return not self.problems and "passed" in outcomes and outcomes <= {"passed", "skipped"}


def read_session(
    raw: bytes, nonce: str, ended: SandboxResult, expectations: tuple[Expectation, ...]
) -> Session:
    """Judge the report of the harness (`agents/testing/harness/supervise.py`), with one expectation per run.

    The results are trusted when the report contains the nonce, each run completed, the exit codes agree, the
    tests that must fail failed, every collected test has an outcome and every expected test was collected.
    """
    if ended.verdict is not Verdict.OK or ended.exit_code != 0:
        return Session(problems=(_ending(ended),))
    try:
        report = Report.model_validate_json(unpacked(raw))
    except (ValidationError, zlib.error):
        return Session(problems=("the test session left no report that can be read",))
    if report.nonce != nonce or len(report.runs) != len(expectations):
        return Session(problems=("the test report is not the one that was asked for",))
    if any(run.missing for run in report.runs):
        return Session(problems=("the sandbox has no such test program",), missing=True)
    runs = list(zip(report.runs, expectations, strict=True))
    judged = [
        one for run, wanted in runs for event in run.events if (one := _judge(event, wanted)) is not None
    ]
    results = _results(judged)
    problems = tuple(dict.fromkeys(problem for run, wanted in runs for problem in _run_problems(run, wanted)))
    if not problems and all(case.outcome == "skipped" for case in results):
        problems = ("every test was skipped",) if results else ("no test was found",)
    refused = any(run.exit_code == _REFUSED for run, _ in runs)
    coverage = None if problems else _coverage(report)
    return Session(results, problems, coverage, first=_first(judged), refused=refused)


def _coverage(report: Report) -> float | None:
    figures = [event.coverage for run in report.runs for event in run.events if event.kind == "end"]
    return max((figure for figure in figures if figure is not None), default=None)


def _run_problems(run: Run, wanted: Expectation) -> tuple[str, ...]:
    return tuple(_session_problems(run, wanted)) or tuple(_missing(run.events, wanted))


def _ending(ended: SandboxResult) -> str:
    if ended.verdict is Verdict.OK:
        return "the test session left no report: the code under test ended it"
    return {
        Verdict.TIMEOUT: "the tests took longer than allowed",
        Verdict.OOM: "the tests used more memory than allowed",
        Verdict.OUTPUT_LIMIT: "the tests printed more than allowed",
        Verdict.POLICY: "the tests did what the sandbox forbids",
    }.get(ended.verdict, "the test session was ended from within")


def _session_problems(run: Run, wanted: Expectation) -> Iterable[str]:
    ends = [event for event in run.events if event.kind == "end"]
    if run.rewritten:
        shown = ", ".join(map(_bounded, run.rewritten[:_MAX_SHOWN]))
        yield f"files of the tests or the test program were changed while they ran: {shown}"
    elif not ends:
        yield "the test session did not come to its end: the code under test ended the process"
    elif run.exit_code in _EXIT_MEANING:
        yield f"the test program ended with exit code {run.exit_code}: {_EXIT_MEANING[run.exit_code]}"
    elif not _all_failed(run.events, wanted.canaries) or _twins_passed(run.events, wanted.twins):
        yield "tests that must fail did not fail: the outcomes are tampered with"
    elif [event.exit_code for event in ends] != [run.exit_code] or run.exit_code != _TESTS_FAILED:
        yield "the exit code of the test program contradicts the outcomes: they are tampered with"
    elif changed := [name for event in run.events for name in event.changed]:
        yield "the code under test changed the test program: " + ", ".join(
            map(_bounded, changed[:_MAX_SHOWN])
        )


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
        originals = [event for event in called if _base(event.id) == test]
        if not originals or any(event.slow or event.outcome != "passed" for event in originals):
            continue
        ran = any(event.kind == "test" and _base(event.id) == twin for event in events)
        if not ran or any(_base(name) == twin for name in passed):
            return True
    return False


def _base(test_id: str) -> str:
    return test_id.partition("[")[0]


def _missing(events: list[Event], wanted: Expectation) -> Iterable[str]:
    listed = [test for event in events if event.kind == "collected" for test in event.ids]
    collected = {test for test in listed if not wanted.is_extra(test)}
    reported = {event.id for event in events if event.kind == "test"}
    silent = sorted(collected - reported)
    if silent:
        yield "tests without an outcome: " + ", ".join(silent[:_MAX_SHOWN])
    broken = {event.id for event in events if event.kind == "not_collected"}
    found = {name for test in collected | reported for name in (test, _base(test))}
    absent = sorted(test for test in wanted.expected - found if test.partition("::")[0] not in broken)
    if absent:
        yield "tests that were not run: " + ", ".join(absent[:_MAX_SHOWN])


class _Judged(NamedTuple):
    """An event about a test of the project, and what it counts as."""

    event: Event
    outcome: Outcome
    message: str


def _judge(event: Event, wanted: Expectation) -> _Judged | None:
    if event.kind not in {"test", "not_collected"} or not event.id or wanted.is_extra(event.id):
        return None
    outcome = _outcome(event)
    if outcome == "skipped" and not _is_promised(event, wanted.skips):
        return _Judged(event, "failed", f"{_UNPROMISED}: {event.message.strip()}".rstrip(": "))
    return _Judged(event, outcome, event.message if outcome in _BAD else "")


def _first(judged: Iterable[_Judged]) -> Failed | None:
    """Return the first failure; a file that could not be loaded goes first, because it explains others."""
    bad = [one for one in judged if one.outcome in _BAD]
    found = next((one for one in bad if one.event.kind == "not_collected"), bad[0] if bad else None)
    if found is None:
        return None
    event = found.event
    loaded = event.kind == "test"
    return Failed(_bounded(event.id), loaded, normalised(found.message), _bounded(event.path), event.line)


def _results(judged: Iterable[_Judged]) -> tuple[TestCase, ...]:
    found: dict[str, _Judged] = {}
    for one in judged:
        known = found.get(one.event.id)
        if known is None or _WORST.index(one.outcome) < _WORST.index(known.outcome):
            found[one.event.id] = one
    return tuple(
        TestCase(test_id=_bounded(test), outcome=one.outcome, message=normalised(one.message))
        for test, one in sorted(found.items())[:10_000]
    )


def _is_promised(event: Event, skips: SkipPromises) -> bool:
    """Whether the source says so, and what raised the skip, as far as is known, is code of the tests."""
    if event.by and not serves_tests(event.by):
        return False
    if event.kind == "not_collected":
        return skips.allow(event.id, Phase.COLLECT)
    return skips.allow(event.id, Phase.SETUP if event.when == "setup" else Phase.CALL)


def _outcome(event: Event) -> Outcome:
    if event.outcome == "skipped":
        return "skipped"
    if event.outcome == "passed":
        return "passed" if event.when == "call" else "error"
    return "failed" if event.when == "call" else "error"


def _bounded(test_id: str) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in test_id)
    return shown if len(shown) <= 300 else shown[:297] + "..."
