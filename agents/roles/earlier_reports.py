"""What earlier tasks reported: the failures and findings that a fix starts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from agents.roles.context import bullets
from agents.sdk.task import Task
from contracts.base.errors import AgentFailure, InvalidDocument
from contracts.base.model import Document
from contracts.base.strict_json import to_json, validate
from contracts.documents.reports import ReviewReport, TestReport

D = TypeVar("D", bound=Document)


class Found(NamedTuple):
    """A section of a prompt that says what is wrong."""

    title: str
    text: str


def what_failed(task: Task) -> Found:
    """Find the negative report of a dependency, else the last failing test report of another task.

    Raises AgentFailure.
    """
    dependencies = [task_id for task_id in task.item.dependencies if task_id in task.reports]
    others = sorted((task_id for task_id in task.reports if task_id not in dependencies), reverse=True)
    for task_id in (*dependencies, *others):
        tests = _read(TestReport, "test", task.reports[task_id])
        if tests is not None and not tests.passed:
            return Found("What failed", _failures(tests))
        review = _read(ReviewReport, "review", task.reports[task_id]) if task_id in dependencies else None
        if review is not None and not review.approved:
            return Found("What the review does not accept; no test failed", _findings(review))
    raise AgentFailure(
        "there is no failing test report to work from; the debugger must depend on a test task",
        code="no_report",
        retryable=False,
    )


def earlier_findings(task: Task) -> str:
    """List what earlier reviews did not accept, "" for nothing."""
    return "\n".join(_findings(review) for review in _reviews(task) if not review.approved)


def _reviews(task: Task) -> Iterator[ReviewReport]:
    for task_id in sorted(task.reports):
        if (review := _read(ReviewReport, "review", task.reports[task_id])) is not None:
            yield review


def _read(kind: type[D], name: str, report: Mapping[str, Any]) -> D | None:
    try:
        return validate(kind, to_json(dict(report), name), name)
    except InvalidDocument:
        return None


def _findings(review: ReviewReport) -> str:
    return "\n\n".join([review.summary, bullets([finding.sentence for finding in review.findings])])


def _failures(report: TestReport) -> str:
    cases = [case for case in report.results if case.outcome in {"failed", "error"}]
    lines = [f"{case.test_id} ({case.outcome}): {case.message}" for case in cases[:50]]
    if len(cases) > len(lines):
        lines.append(f"and {len(cases) - len(lines)} more")
    tails = [f"{run.cmd} printed at its end:\n{run.output_tail}" for run in report.runs if run.output_tail]
    return "\n\n".join([bullets(lines), *tails])
