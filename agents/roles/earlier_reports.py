"""What earlier tasks reported: the failures and findings that a fix starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from agents.roles.context import bullets
from agents.sdk.task import Task
from contracts.base.errors import AgentFailure, InvalidDocument
from contracts.base.model import Document
from contracts.base.refs import amended_origin
from contracts.base.strict_json import to_json, validate
from contracts.documents.baseline import Baseline
from contracts.documents.reports import ReviewReport, TestCase, TestReport

D = TypeVar("D", bound=Document)

_FEW: Final = 10
_TRACES_CHARACTERS: Final = 40_000


class Found(NamedTuple):
    """A section of a prompt that says what is wrong."""

    title: str
    text: str


def what_failed(task: Task, baseline: Baseline | None = None) -> Found:
    """Find the negative report of a dependency, else the last failing test report of another task.

    For contested tests that is the last report of the tester whose they are.
    What failed on the base already is left out, where something else failed.

    Raises AgentFailure.
    """
    dependencies = [task_id for task_id in task.item.dependencies if task_id in task.reports]
    others = sorted(task.reports.keys() - set(dependencies), key=_nearness(task), reverse=True)
    for task_id in (*dependencies, *others):
        tests = _read(TestReport, "test", task.reports[task_id])
        if tests is not None and not tests.passed:
            return Found("What failed", _failures(tests, baseline))
        review = _read(ReviewReport, "review", task.reports[task_id]) if task_id in dependencies else None
        if review is not None and not review.approved:
            return Found("What the review does not accept; no test failed", _findings(review))
    raise AgentFailure(
        "there is no failing test report to work from; the debugger must depend on a test task",
        code="no_report",
        retryable=False,
    )


def _nearness(task: Task) -> Callable[[str], tuple[int, str]]:
    """What other tasks are sorted by: their names; whose tests are looked at again is the greatest."""
    origin = amended_origin(task.item.task_id)

    def key(task_id: str) -> tuple[int, str]:
        is_judge = bool(origin) and (task_id == origin or task_id.startswith(f"{origin}.retest"))
        return len(task_id) if is_judge else 0, task_id

    return key


def failed_before_fix(task: Task) -> tuple[str, ...]:
    """The ids of the tests that failed in the report of the task's first dependency, which is to be fixed."""
    return tuple(dict.fromkeys(case.test_id for case in _to_fix(task)))


def failed_traces(task: Task) -> str:
    """The tracebacks of these tests, as far as there is room, those of failures that differ; "" for none.

    Of a test with several parameters the source is shown once.
    """
    shown: list[str] = []
    left_out, room, known, sources = 0, _TRACES_CHARACTERS, set[str](), set[str]()
    for case in _to_fix(task):
        function = case.test_id.partition("[")[0]
        text = f"{case.test_id}\n{_errors(case.traceback) if function in sources else case.traceback}"
        if not case.traceback or case.message in known or len(text) > room:
            left_out += bool(case.traceback)
            continue
        known.add(case.message)
        sources.add(function)
        shown.append(text)
        room -= len(text)
    return "\n\n".join([*shown, *([f"({left_out} more are left out)"] if left_out and shown else [])])


def _errors(traceback: str) -> str:
    """What pytest marks as the error; the whole where it marks nothing."""
    return "\n".join(line for line in traceback.splitlines() if line.startswith("E ")) or traceback


def _to_fix(task: Task) -> list[TestCase]:
    judge = next(iter(task.item.dependencies), "")
    report = _read(TestReport, "test", task.reports[judge]) if judge in task.reports else None
    if report is None or report.passed:
        return []
    return [case for case in report.results if case.outcome in {"failed", "error"}]


def test_reports(task: Task) -> str:
    """What the tests of earlier tasks said, a report a line, with what did not pass; "" for none."""
    lines: list[str] = []
    for task_id in sorted(task.reports):
        report = _read(TestReport, "test", task.reports[task_id])
        if report is None:
            continue
        counts = Counter(case.outcome for case in report.results)
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        lines.append(f"{task_id}: {'passed' if report.passed else 'failed'}; {said or 'no test ran'}")
        bad = [case for case in report.results if case.outcome in {"failed", "error"}]
        lines += [f"  {case.test_id} ({case.outcome}): {case.message}" for case in bad[:_FEW]]
        lines += [f"  and {len(bad) - _FEW} more"] if len(bad) > _FEW else []
    return "\n".join(lines)


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


def _failures(report: TestReport, baseline: Baseline | None) -> str:
    bad = [case for case in report.results if case.outcome in {"failed", "error"}]
    cases = [case for case in bad if baseline is None or not baseline.failed_before(case.test_id)] or bad
    lines = [f"{case.test_id} ({_how(case)}): {case.message}" for case in cases[:50]]
    if len(cases) > len(lines):
        lines.append(f"and {len(cases) - len(lines)} more")
    tails = [f"{run.cmd} printed at its end:\n{run.output_tail}" for run in report.runs if run.output_tail]
    if not cases and report.failure is not None:
        lines = [report.failure.sentence]
    return "\n\n".join([bullets(lines), *tails])


def _how(case: TestCase) -> str:
    return "flaky: it failed, and passed when the same was run again" if case.flaky else case.outcome
