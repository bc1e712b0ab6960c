"""What a test session in the sandbox proves. An exit code alone proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, Field, ValidationError

from agents.normalise import normalised
from contracts.ports import SandboxResult, Verdict
from contracts.reports import TestCase

Outcome = Literal["passed", "failed", "error", "skipped"]

CANARIES: Final = 2
_TESTS_FAILED: Final = 1
_WORST: Final[tuple[Outcome, ...]] = ("error", "failed", "skipped", "passed")
_EXIT_MEANING: Final = {2: "interrupted", 3: "an error inside pytest", 4: "a usage error", 5: "no tests"}
_MAX_SHOWN: Final = 5


class _Event(BaseModel):
    kind: str
    id: str = ""
    ids: list[str] = []
    when: str = ""
    outcome: str = ""
    message: str = ""
    exit_code: int | None = None
    coverage: float | None = Field(default=None, ge=0, le=100)


class _Report(BaseModel):
    nonce: str
    exit_code: int
    events: list[_Event]


@dataclass(frozen=True, slots=True)
class Session:
    """problems: why the session proves nothing, [] for one whose results can be taken for what they are."""

    results: tuple[TestCase, ...] = ()
    problems: tuple[str, ...] = ()
    coverage_percent: float | None = None

    @property
    def passed(self) -> bool:
        """No problem, no failure, and at least one test that passed."""
        outcomes = {case.outcome for case in self.results}
        return not self.problems and "passed" in outcomes and outcomes <= {"passed", "skipped"}


def read_session(raw: bytes | None, nonce: str, ended: SandboxResult, expected: frozenset[str]) -> Session:
    """Judge the harness's report (`agents/harness/run_pytest.py`), None when there is none.

    It counts when it carries the nonce, the session came to its end, the exit codes agree, the tests that
    must fail failed, every collected test has an outcome and every expected one was collected.
    """
    if ended.verdict is not Verdict.OK or ended.exit_code != 0 or raw is None:
        return Session(problems=(_ending(ended),))
    try:
        report = _Report.model_validate_json(raw)
    except ValidationError:
        return Session(problems=("the test session left no report that can be read",))
    if report.nonce != nonce:
        return Session(problems=("the test report is not the one that was asked for",))
    results = _results(report.events)
    problems = tuple(_session_problems(report)) or tuple(_missing(report.events, expected))
    if not problems and all(case.outcome == "skipped" for case in results):
        problems = ("every test was skipped",) if results else ("no test was found",)
    ends = [event for event in report.events if event.kind == "end"]
    return Session(results, problems, ends[0].coverage if ends else None)


def _ending(ended: SandboxResult) -> str:
    if ended.verdict is Verdict.OK:
        return "the test session left no report: the code under test ended it"
    return {
        Verdict.TIMEOUT: "the tests took longer than allowed",
        Verdict.OOM: "the tests used more memory than allowed",
        Verdict.OUTPUT_LIMIT: "the tests printed more than allowed",
        Verdict.POLICY: "the tests did what the sandbox forbids",
    }.get(ended.verdict, "the test session was ended from within")


def _session_problems(report: _Report) -> Iterable[str]:
    ends = [event.exit_code for event in report.events if event.kind == "end"]
    if not ends:
        yield "the test session did not come to its end: the code under test ended the process"
        return
    canaries = [event for event in report.events if event.kind == "canary" and event.when == "call"]
    failed = {event.id for event in canaries if event.outcome == "failed"}
    if report.exit_code in _EXIT_MEANING:
        yield f"pytest ended with exit code {report.exit_code}: {_EXIT_MEANING[report.exit_code]}"
    elif len(failed) != CANARIES or len(canaries) != CANARIES:
        yield "tests that must fail did not fail: the outcomes are tampered with"
    elif ends != [report.exit_code] or report.exit_code != _TESTS_FAILED:
        yield "the exit code of pytest contradicts the outcomes: they are tampered with"


def _missing(events: list[_Event], expected: frozenset[str]) -> Iterable[str]:
    collected = {test for event in events if event.kind == "collected" for test in event.ids}
    reported = {event.id for event in events if event.kind == "test"}
    silent = sorted(collected - reported)
    if silent:
        yield "tests without an outcome: " + ", ".join(silent[:_MAX_SHOWN])
    broken = {event.id for event in events if event.kind == "not_collected"}
    found = {test.partition("[")[0] for test in collected}
    absent = sorted(test for test in expected - found if test.partition("::")[0] not in broken)
    if absent:
        yield "tests that were not run: " + ", ".join(absent[:_MAX_SHOWN])


def _results(events: list[_Event]) -> tuple[TestCase, ...]:
    found: dict[str, tuple[Outcome, str]] = {}
    for event in events:
        if event.kind not in {"test", "not_collected"} or not event.id:
            continue
        outcome = _outcome(event)
        known = found.get(event.id)
        if known is None or _WORST.index(outcome) < _WORST.index(known[0]):
            found[event.id] = (outcome, event.message)
    return tuple(
        TestCase(test_id=_bounded(test), outcome=outcome, message=normalised(message))
        for test, (outcome, message) in sorted(found.items())[:10_000]
    )


def _outcome(event: _Event) -> Outcome:
    if event.outcome == "skipped":
        return "skipped"
    if event.outcome == "passed":
        return "passed" if event.when == "call" else "error"
    return "failed" if event.when == "call" else "error"


def _bounded(test_id: str) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in test_id)
    return shown if len(shown) <= 300 else shown[:297] + "..."
