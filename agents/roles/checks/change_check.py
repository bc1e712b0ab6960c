"""Judges what a workflow has changed, without a model: by the tests that it wrote, and by all others."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from agents.roles.checks.collected import Collected
from agents.roles.checks.flaky import AGAIN, MOST, as_before, without_chance
from agents.roles.checks.odd_before import run_compared
from agents.roles.checks.without_work import commands_for, run_commands, with_tests_alone
from agents.sdk.changed_tree import ChangedTree, is_changed
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.baseline.regressions import gone, regressions
from agents.testing.baseline.running import environment_hash, run_baseline
from agents.testing.pytest_commands import split_command
from contracts.base.errors import AgentFailure
from contracts.base.languages import LANGUAGES, serves_tests, steers_tests
from contracts.documents.baseline import Baseline, BaselineFailure
from contracts.documents.failure import MAX_ERROR, TestFailure
from contracts.documents.reports import TestCase, TestReport
from contracts.documents.test_ids import named_test
from contracts.documents.todo_list import AcceptanceTest
from contracts.messages.payloads import TestSummary
from contracts.ports.trees import TreeBase


def judges_a_change(task: Task) -> bool:
    """Whether the task names neither files to write nor tests to run: it is about whatever was changed."""
    return not (task.request.writable or task.item.output_artifacts or task.item.acceptance_criteria.tests)


@dataclass(slots=True)
class _Findings:
    """What was seen of a change."""

    own: Collected
    """Results of the tests that the work wrote or changed."""
    shown_by: list[str] = field(default_factory=list)
    """Tests that fail without the change and pass with it."""
    broken: tuple[BaselineFailure, ...] = ()
    """What passed before and fails now, or is gone."""
    all_tests: Baseline | None = None
    """All tests of the repository, with the change."""
    failure: TestFailure | None = None
    flaky: tuple[str, ...] = ()
    """Tests of the base that failed, and passed when all were run again."""
    mended: list[str] = field(default_factory=list)
    """Tests of the base that failed there, and pass with the change, where the work wrote none."""


async def check_change(task: Task) -> AgentResult:
    """Run the tests that the work wrote, with the change and without, and all tests of the repository.

    The verdict is "passed" when the first pass, one of them at least fails without the change, and nothing
    fails, or is gone, that passed before. Work without a test is judged by the others alone, and called
    untested unless it mends one of them. Raises SandboxUnavailable, ArtifactError, StoreUnavailable,
    AgentFailure.
    """
    start = await task.first_files()
    files = _steered_as_before(task.files, start)
    commands = list(commands_for(_own_tests(files, start)))
    if not commands and not start:
        raise AgentFailure("there is nothing to run: no acceptance test, and no test file", code="no_tests")
    before = await run_commands(task, list(commands_for(_replaced_tests(files, start))), start)
    own = await _own_results(task, commands, files, before, start)
    seen = _Findings(await without_chance(task, commands, files, own, start))
    seen.failure = seen.own.failure
    if seen.failure is None:
        _break(seen, gone(before.results, seen.own.results))
    if commands and seen.failure is None:
        await _look_without(task, commands, files, start, seen)
    if seen.failure is None:
        await _look_at_all(task, files, start, seen)
    if not commands and seen.failure is None:
        seen.mended = await _mended(task, files, start)
    return _result(seen, untested=not (commands or seen.mended))


def _own_tests(files: Mapping[str, bytes], start: Mapping[str, bytes]) -> list[str]:
    tests = (path for path in files if any(language.is_test_file(path) for language in LANGUAGES))
    return sorted(path for path in tests if is_changed(path, start, files))


def _replaced_tests(files: Mapping[str, bytes], start: Mapping[str, bytes]) -> list[str]:
    """The base's files with tests that are changed or gone."""
    tests = (path for path in start if any(language.is_test_file(path) for language in LANGUAGES))
    return sorted(path for path in tests if is_changed(path, start, files))


def _steered_as_before(files: Mapping[str, bytes], start: Mapping[str, bytes]) -> ChangedTree:
    """The tree with the base's own files that configure how tests run; fixtures are those of the work."""
    steering = {path for path in (*files, *start) if steers_tests(path) and not serves_tests(path)}
    changed = (path for path in steering if is_changed(path, start, files))
    return ChangedTree(files, {path: start.get(path) for path in changed})


async def _own_results(
    task: Task,
    commands: list[AcceptanceTest],
    files: Mapping[str, bytes],
    before: Collected,
    start: Mapping[str, bytes],
) -> Collected:
    """Run the tests with the change; what failed before in the same files is excused, and what was odd."""
    found = await run_compared(task, commands, files, start)
    if found.failure is None:
        return found
    failed = frozenset(case.test_id for case in before.results if case.outcome in {"failed", "error"})
    return await run_commands(task, commands, files, failed, found.known) if failed else found


async def _look_without(
    task: Task,
    commands: list[AcceptanceTest],
    files: Mapping[str, bytes],
    start: Mapping[str, bytes],
    seen: _Findings,
) -> None:
    """Find the tests that fail on the base; that there is none is a failure."""
    without = await run_commands(task, commands, with_tests_alone(files, start))
    passed = {case.test_id for case in without.results if case.outcome == "passed"}
    now = [case.test_id for case in seen.own.results if case.outcome == "passed"]
    seen.shown_by = [test for test in now if test not in passed]
    if not seen.shown_by:
        error = "all tests of this work pass without it too, so they show nothing of it"
        seen.failure = TestFailure(kind="not_verified", test=commands[0].cmd[:300], error=error)


async def _mended(task: Task, files: Mapping[str, bytes], start: Mapping[str, bytes]) -> list[str]:
    """The tests that failed before any work, or could not be loaded, and pass: they show it."""
    if (baseline := await task.baseline()) is None:
        return []
    failed, broken = ({one.test for one in found} for found in (baseline.failing, baseline.broken))
    paths = sorted({named_test(test).path for test in as_before((*failed, *broken), files, start)})
    found = await run_compared(task, list(commands_for(paths)), files, start)
    if not found.is_believable:
        return []
    passed = [case.test_id for case in found.results if case.outcome == "passed"]
    return [test for test in passed if test in failed or named_test(test).path in broken]


async def _look_at_all(
    task: Task, files: Mapping[str, bytes], first: Mapping[str, bytes], seen: _Findings
) -> None:
    """Run all tests, as the plan says; where they fail also on the base, if nobody did before.

    Where few fail that passed before, all run once more: what fails by chance is no fault of a change.
    """
    rules = task.item.acceptance_criteria.validation_rules
    command = next((rule.command for rule in rules if rule.type == "command"), "")
    start = task.request.base_commit
    if not command or start is None or task.workplace is None:
        return
    argv = split_command(command)
    after = seen.all_tests = await _all_tests(task, task.base.commit, argv, seen)
    before = await task.baseline()
    if before is None or before.command != shlex.join(argv):
        is_well = after.state == "no_tests" or (after.state == "ran" and after.exit_code == 0)
        before = None if is_well else await _all_tests(task, start, argv, seen)
    if before is None or not (broken := regressions(before, after)):
        return
    second = await _all_tests(task, task.base.commit, argv, seen) if len(broken) <= MOST else None
    again = regressions(before, second) if second is not None else ()
    if second is not None and second.state == "ran" and len(again) <= MOST:
        once = {one.test for one in broken} ^ {one.test for one in again}
        seen.flaky = tuple(sorted(as_before(once, files, first)))
        both = {one.test: one for one in (*again, *broken)}
        broken = tuple(_by_chance(one, once) for test, one in both.items() if test not in seen.flaky)
    _break(seen, broken)


def _by_chance(one: BaselineFailure, once: Set[str]) -> BaselineFailure:
    """A failure that says so when it was none in another run."""
    if one.test not in once:
        return one
    return one.model_copy(update={"error": f"{AGAIN}: {one.error}".rstrip(": ")[:MAX_ERROR]})


def _break(seen: _Findings, broken: tuple[BaselineFailure, ...]) -> None:
    seen.broken = broken
    if broken:
        error = f"it passed before this work: {broken[0].error}".rstrip(": ")[:600]
        seen.failure = TestFailure(kind="failed", test=broken[0].test[:300], error=error)


async def _all_tests(task: Task, commit: str, argv: tuple[str, ...], seen: _Findings) -> Baseline:
    assert task.workplace is not None
    seconds = task.item.timeout_seconds / 4  # twice with the change, once without, and there are other tests
    async with task.workplace.fresh(TreeBase(commit)) as workspace:
        seen.own.backend, seen.own.isolation = workspace.backend, workspace.isolation.value
        return await run_baseline(
            workspace, commit, environment_hash(await task.environment()), argv, seconds
        )


def _result(seen: _Findings, *, untested: bool) -> AgentResult:
    broken = [
        TestCase(test_id=one.test[:300], outcome="failed", message=f"it passed before this work: {one.error}")
        for one in seen.broken
    ]
    flaky = [
        TestCase(test_id=test[:300], outcome="failed", message=f"it {AGAIN}", flaky=True)
        for test in seen.flaky
    ]
    results = (*seen.own.results, *broken, *flaky)[:10_000]
    every = seen.all_tests
    passed = every.passed if every and every.counted else sum(one.outcome == "passed" for one in results)
    bad = sum(one.outcome in {"failed", "error"} for one in results)
    failed = every.failed if every and every.counted else bad
    report = TestReport(
        passed=seen.failure is None,
        results=results,
        runs=tuple(seen.own.runs),
        coverage_percent=max(seen.own.coverage, default=None),
        backend=seen.own.backend,
        isolation=seen.own.isolation,
        failure=seen.failure,
    )
    return AgentResult(
        report=report,
        verdict="passed" if report.passed else "failed",
        summary=_sentence(seen, untested=untested),
        tests=TestSummary(
            passed=passed,
            failed=failed,
            coverage_percent=report.coverage_percent,
            failure=seen.failure,
            flaky=tuple(case.test_id for case in flaky) or None,
            untested=untested or None,
        ),
        backend=seen.own.backend,
    )


def _sentence(seen: _Findings, *, untested: bool) -> str:
    if seen.failure is not None:
        return seen.failure.sentence
    first = f"{len(seen.shown_by)} tests of this work fail without it and pass with it"
    if seen.mended:
        first = f"{len(seen.mended)} tests that were there failed before this work and pass with it"
    if untested:
        first = "no test was written for this work"
    every = seen.all_tests
    if every is None:
        return first
    chance = f"; flaky: {', '.join(seen.flaky)} {AGAIN}" if seen.flaky else ""
    return f"{first}; of all tests: {every.sentence}, nothing that passed before fails{chance}"
