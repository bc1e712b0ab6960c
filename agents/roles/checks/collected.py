"""The results of a tester's acceptance tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.testing.first_failure import session_failure
from agents.testing.stable_text import normalised_tail
from agents.testing.validation import command_run
from agents.testing.verdict import Session
from contracts.documents.failure import TestFailure
from contracts.documents.reports import CommandRun, TestCase
from contracts.documents.todo_list import AcceptanceTest
from contracts.ports.sandbox import SandboxResult


@dataclass(slots=True)
class Collected:
    """The results of the acceptance tests that ran so far."""

    results: list[TestCase] = field(default_factory=list)
    runs: list[CommandRun] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    backend: str = "unknown"
    isolation: str = "unknown"
    failed: AcceptanceTest | None = None
    failure: TestFailure | None = None
    """The first acceptance test that did not pass, and why."""
    excused: frozenset[str] = frozenset()
    """Ids of tests that may fail, since they did before, or do now and then."""
    known: frozenset[str] = frozenset()
    """What makes results doubtful, and was so before any work: see `oddities`."""
    odd: frozenset[str] = frozenset()
    """What else does."""
    flaky: tuple[str, ...] = ()
    """Ids of tests that do now and then, and were there before."""

    @property
    def is_believable(self) -> bool:
        """Whether no session had a problem, for which its results prove nothing."""
        return not {run.cmd for run in self.runs} & {case.test_id for case in self.results}

    def add(
        self, test: AcceptanceTest, run: CommandRun, failure: TestFailure | None, ended: SandboxResult
    ) -> None:
        """Add how an acceptance test ended."""
        self.runs.append(run)
        self.backend, self.isolation = ended.backend, ended.isolation.value
        if failure is not None and self.failure is None:
            self.failed, self.failure = test, failure

    def add_session(
        self, test: AcceptanceTest, session: Session, ended: SandboxResult, files: Mapping[str, bytes]
    ) -> None:
        """Add what a session says of an acceptance test."""
        cmd = test.cmd[:300]
        self.results += session.results
        self.odd |= session.odd - self.known
        self.results += [
            TestCase(test_id=cmd, outcome="error", message=problem) for problem in session.problems
        ]
        if session.coverage_percent is not None:
            self.coverage.append(session.coverage_percent)
        run = command_run(cmd, ended)
        if run.verdict == "ok" and not session.passed:
            run = run.model_copy(update={"verdict": "failed", "exit_code": 1})
        tail = normalised_tail(ended.stderr) if session.problems else ""
        run = run.model_copy(update={"output_tail": tail})
        self.add(test, run, session_failure(cmd, session, ended, files), ended)
