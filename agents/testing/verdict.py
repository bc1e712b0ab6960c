"""Judges the report of a test session in the sandbox. An exit code alone proves nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from pydantic import ValidationError

from agents.testing.declared import Phase, SkipPromises
from agents.testing.harness_report import Event, Report, Run, unpacked
from agents.testing.problems import Expectation, bounded, oddities, run_problems
from agents.testing.stable_text import normalised, normalised_lines
from contracts.base.languages import serves_tests
from contracts.documents.reports import MAX_TRACEBACK, TestCase
from contracts.ports.sandbox import SandboxResult, Verdict

Outcome = Literal["passed", "failed", "error", "skipped"]

_WORST: Final[tuple[Outcome, ...]] = ("error", "failed", "skipped", "passed")
_TRACES_CHARACTERS: Final = 100_000
_REFUSED: Final = 4
_BAD: Final = frozenset({"failed", "error"})
_UNPROMISED: Final = "skipped, or expected to fail, which its source does not say"


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
    excused: frozenset[str] = frozenset()
    """Ids of tests that may fail, since they failed before the work that is judged."""
    odd: frozenset[str] = frozenset()
    """What makes results doubtful and may be the way of the code that was there: see `oddities`."""
    unfit: frozenset[str] = frozenset()
    """Ids of tests, suites and files that cannot run apart from the code; "" where none is known."""

    @property
    def is_conclusive(self) -> bool:
        """Whether the tests of a session apart from the code need no other one."""
        return self.passed and not self.unfit

    @property
    def passed_apart(self) -> frozenset[str]:
        """The tests that passed in a session apart from the code."""
        if self.problems:
            return frozenset()
        passed = [case.test_id for case in self.results if case.outcome == "passed"]
        return frozenset(test for test in passed if self.unfit.isdisjoint(_around(test)))

    def marked(self, alone: frozenset[str]) -> Session:
        """The same, which says of those of its tests that passed that they did so apart from the code."""
        apart = [case.outcome == "passed" and case.test_id in alone for case in self.results]
        cases = zip(self.results, apart, strict=True)
        return replace(self, results=tuple(case.model_copy(update={"apart": way}) for case, way in cases))

    @property
    def passed(self) -> bool:
        """Whether there is no problem, no failure that is not excused, and a test that passed."""
        outcomes = {case.outcome for case in self.results if case.test_id not in self.excused}
        return not self.problems and "passed" in outcomes and outcomes <= {"passed", "skipped"}


def read_session(
    raw: bytes,
    nonce: str,
    ended: SandboxResult,
    expectations: tuple[Expectation, ...],
    excused: frozenset[str] = frozenset(),
    known: frozenset[str] = frozenset(),
) -> Session:
    """Judge the report of the harness (`agents/testing/harness/supervise.py`), with one expectation per run.

    The results are trusted when the report contains the nonce, each run completed, the exit codes agree, the
    tests that must fail failed, every collected test has an outcome and every expected test was collected.
    `excused`: see Session. `known`: what is odd and no problem, as it was so before.
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
    found = (problem for run, wanted in runs for problem in _problems(run, wanted, known))
    problems = tuple(dict.fromkeys(found))
    if not problems and all(case.outcome == "skipped" for case in results):
        problems = ("every test was skipped",) if results else ("no test was found",)
    refused = any(run.exit_code == _REFUSED for run, _ in runs)
    coverage = None if problems else _coverage(report)
    first = _first(one for one in judged if one.event.id not in excused)
    unfit = frozenset(event.id for run in report.runs for event in run.events if event.kind == "unfit")
    odd = frozenset(one for run, wanted in runs for one in oddities(run, wanted))
    return Session(
        results, problems, coverage, first=first, refused=refused, excused=excused, odd=odd, unfit=unfit
    )


def _around(test: str) -> set[str]:
    """The ids of a test, of its file, and of the suites it is in."""
    path, _, name = test.partition("::")
    parts = name.split(" > ")
    return {test, path, *(f"{path}::{' > '.join(parts[:count])}" for count in range(1, len(parts)))}


def _coverage(report: Report) -> float | None:
    figures = [event.coverage for run in report.runs for event in run.events if event.kind == "end"]
    return max((figure for figure in figures if figure is not None), default=None)


def _problems(run: Run, wanted: Expectation, known: frozenset[str]) -> tuple[str, ...]:
    return run_problems(run, wanted, fails=_fails(run.events, wanted), known=known)


def _ending(ended: SandboxResult) -> str:
    if ended.verdict is Verdict.OK:
        return "the test session left no report: the code under test ended it"
    return {
        Verdict.TIMEOUT: "the tests took longer than allowed",
        Verdict.OOM: "the tests used more memory than allowed",
        Verdict.OUTPUT_LIMIT: "the tests printed more than allowed",
        Verdict.POLICY: "the tests did what the sandbox forbids",
    }.get(ended.verdict, "the test session was ended from within")


def _fails(events: list[Event], wanted: Expectation) -> bool:
    return any((one := _judge(event, wanted)) is not None and one.outcome in _BAD for event in events)


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
    return Failed(bounded(event.id), loaded, normalised(found.message), bounded(event.path), event.line)


def _results(judged: Iterable[_Judged]) -> tuple[TestCase, ...]:
    found: dict[str, _Judged] = {}
    for one in judged:
        known = found.get(one.event.id)
        if known is None or _WORST.index(one.outcome) < _WORST.index(known.outcome):
            found[one.event.id] = one
    traces = _Room(_TRACES_CHARACTERS)
    return tuple(
        TestCase(
            test_id=bounded(test),
            outcome=one.outcome,
            message=normalised(one.message),
            traceback=traces.fit(normalised_lines(one.event.trace)[:MAX_TRACEBACK]),
        )
        for test, one in sorted(found.items())[:10_000]
    )


class _Room:
    """Lets texts through as long as they fit into so many characters."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def fit(self, text: str) -> str:
        if len(text) > self._left:
            return ""
        self._left -= len(text)
        return text


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
