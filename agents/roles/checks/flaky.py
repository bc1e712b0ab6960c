"""Tells tests that fail now and then from those that fail: what failed runs again, alone and as before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from agents.roles.checks.acceptance_runs import run_test
from agents.roles.checks.collected import Collected
from agents.roles.checks.without_work import run_commands
from agents.sdk.changed_tree import is_changed
from agents.sdk.task import Task
from contracts.documents.failure import MAX_ERROR, TestFailure
from contracts.documents.test_ids import command_of, named_test
from contracts.documents.todo_list import AcceptanceTest

MOST: Final = 10
"""So many failures at most are looked at; more are no chance."""
AGAIN: Final = "failed, and passed when the same was run again"
_BAD: Final = frozenset({"failed", "error"})


async def without_chance(
    task: Task,
    commands: Sequence[AcceptanceTest],
    files: Mapping[str, bytes],
    seen: Collected,
    start: Mapping[str, bytes],
) -> Collected:
    """The same results, in which it says of flaky tests that they are.

    A test is flaky that failed, passes alone, and passes when everything is run again: one that passes only
    alone depends on the others, and failed. Flaky tests that are as they were on the base are excused; what a
    workflow wrote must pass every time. Raises as `run_test`.
    """
    bad = [one for one in seen.results if one.outcome in _BAD and one.test_id not in seen.excused]
    alone = [command_of(case.test_id) for case in bad]
    if not start or not 0 < len(bad) <= MOST or None in alone:
        return seen
    for cmd in filter(None, alone):
        once = Collected(known=seen.known)
        await run_test(task, AcceptanceTest(cmd=cmd), files, once, apart=False)
        if once.failure is not None:
            return seen
    again = await run_commands(task, commands, files, seen.excused, seen.known)
    passed = {case.test_id for case in again.results if case.outcome == "passed"}
    flaky = {case.test_id for case in bad} & passed
    return _marked(seen, flaky, frozenset(as_before(flaky, files, start)))


def as_before(tests: Iterable[str], files: Mapping[str, bytes], start: Mapping[str, bytes]) -> Iterable[str]:
    """Those of the tests whose files were there before, and are as they were."""
    for test in tests:
        path = named_test(test).path
        if path in start and not is_changed(path, start, files):
            yield test


def _marked(seen: Collected, flaky: set[str], excused: frozenset[str]) -> Collected:
    results = [
        case.model_copy(update={"flaky": True}) if case.test_id in flaky else case for case in seen.results
    ]
    found = replace(seen, results=results, excused=seen.excused | excused, flaky=tuple(sorted(excused)))
    bad = [one for one in results if one.outcome in _BAD and one.test_id not in found.excused]
    if not bad:
        return replace(found, failed=None, failure=None)
    if seen.failure is None or seen.failure.test not in flaky:
        return found
    first = bad[0]
    said = f"{AGAIN}: {first.message}" if first.flaky else first.message
    known = seen.failure
    if known.test != first.test_id:
        known = TestFailure(kind="failed", test=first.test_id)
    return replace(found, failure=known.model_copy(update={"error": said[:MAX_ERROR]}))
