"""What tests and reviews said about a workflow: counts, failures, findings and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from contracts.base.languages import is_code
from contracts.documents.untested import untested
from orchestrator.core.cycles import origin_of
from orchestrator.core.state import TaskState, TaskStatus


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that did not pass in a test report that was not followed by a better one."""

    task_id: str
    kind: str
    """`failed`, `not_loaded` or `not_verified`."""
    test: str
    """The id of the test, or the command."""
    error: str
    path: str | None
    line: int | None
    on_base: bool
    """Whether the unchanged base fails in the same way."""


@dataclass(frozen=True, slots=True)
class FindingFate:
    """A remark of a reviewer, and what became of it."""

    task_id: str
    severity: str
    path: str | None
    message: str
    fate: Literal["fixed", "sent back", "open", "noted"]
    """Fixed: a fix followed, and the review then approved. Sent back: a fix was asked for, and no review
    approved. Open: the last review does not approve. Noted: the review approved all the same."""
    line: int | None = None

    @property
    def place(self) -> str:
        """`file:line`, as far as it is known."""
        return ":".join(str(part) for part in (self.path, self.line) if part)


@dataclass(frozen=True, slots=True)
class TestCounts:
    """Tests over the last report of each test task."""

    __test__ = False

    passed: int
    failed: int
    apart: int
    """Of those that passed, how many did so in another process than the code they test."""
    coverage_percent: float | None
    """The best of the reports; each is measured over all the code."""
    reports: int
    flaky: tuple[str, ...] = ()
    """Those that failed, passed when the same was run again, and were there before."""


def count_tests(tasks: Iterable[TaskState]) -> TestCounts:
    """Add the last reports up."""
    reports = [task.tests for task in _last(task for task in tasks if task.tests is not None) if task.tests]
    covered = [one.coverage_percent for one in reports if one.coverage_percent is not None]
    return TestCounts(
        sum(one.passed for one in reports),
        sum(one.failed for one in reports),
        sum(one.apart or 0 for one in reports),
        max(covered, default=None),
        len(reports),
        tuple(dict.fromkeys(test for one in reports for test in one.flaky or ())),
    )


def failures(tasks: Iterable[TaskState]) -> Iterator[Failure]:
    """Yield the first failure of each test task whose last report is negative."""
    for task in _last(task for task in tasks if task.tests is not None):
        if task.tests is not None and (found := task.tests.failure) is not None:
            yield Failure(task.task_id, **found.model_dump())


def findings(tasks: Iterable[TaskState]) -> Iterator[FindingFate]:
    """Yield what reviews found, in the order of the reviews."""
    reviews = [task for task in tasks if task.review is not None]
    last = {origin_of(task): task for task in _last(reviews)}
    for task in reviews:
        final = last[origin_of(task)]
        for finding in task.review.findings if task.review else ():
            yield FindingFate(task.task_id, **finding.model_dump(), fate=_fate(task, final))


def environment_fault(tasks: Iterable[TaskState]) -> str:
    """Return what an agent, or tests of the unchanged base, say is wrong around the code; "" for nothing."""
    failed = (task.error for task in tasks if task.status is TaskStatus.FAILED)
    return next((error.message for error in failed if error and error.code == "environment"), "")


def untested_tasks(tasks: Iterable[TaskState], files: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the tasks whose code no test looked at, of a workflow that left `files`."""
    if not any(map(is_code, files)):
        return ()
    looked = [task for task in tasks if task.tests is None or not task.tests.untested]
    items = [task.item.model_copy(update={"dependencies": task.dependencies}) for task in looked]
    return tuple(items[number].task_id for number in untested(items))


def _last(tasks: Iterable[TaskState]) -> Iterable[TaskState]:
    """The last repetition of each test or review that ran."""
    newest: dict[str, TaskState] = {}
    for task in tasks:
        known = newest.setdefault(origin_of(task), task)
        if task.cycle > known.cycle:
            newest[origin_of(task)] = task
    return newest.values()


def _fate(task: TaskState, final: TaskState) -> Literal["fixed", "sent back", "open", "noted"]:
    if task.review is not None and task.review.approved:
        return "noted"
    if final.review is not None and final.review.approved:
        return "fixed"
    return "open" if task is final and task.status is TaskStatus.FAILED else "sent back"
