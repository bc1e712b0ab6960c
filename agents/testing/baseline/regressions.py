"""What fails after a change, or is gone, and did not before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from contracts.documents.baseline import Baseline, BaselineFailure
from contracts.documents.failure import MAX_ERROR
from contracts.documents.reports import TestCase
from contracts.documents.test_ids import named_test

_GONE: Final = "it is not there any more"


def regressions(before: Baseline, after: Baseline) -> tuple[BaselineFailure, ...]:
    """Return what a change broke, of two runs of one command; () also where that cannot be known.

    Tests are compared by their ids where pytest named them in both runs, else the command by its exit code.
    Nothing is known of tests that did not run, where time was up before it was twice as much as before.
    """
    if before.state != "ran" or before.obstacle:
        return ()
    if before.counted:
        return tuple(_of_tests(before, after)) if before.complete else ()
    if before.exit_code == 0 and (after.exit_code != 0 or after.state != "ran"):
        return tuple(_of_run(before, after))
    return ()


def gone(before: Sequence[TestCase], after: Sequence[TestCase]) -> tuple[BaselineFailure, ...]:
    """Return the tests that passed in the files that a change replaced, and are in none of its own files.

    Parameters do not count, and a test may move to another file. Ids that hold no names are left out.
    """
    known, found = ({named_test(case.test_id) for case in cases} for cases in (before, after))
    moved = {test.names for test in found - known}
    passed = {named_test(case.test_id): case for case in before if case.outcome == "passed"}
    return tuple(
        BaselineFailure(test=case.test_id, error=_GONE)
        for test, case in passed.items()
        if test.names and test not in found and test.names not in moved
    )


def _of_tests(before: Baseline, after: Baseline) -> Iterator[BaselineFailure]:
    failing = [one for one in after.failing if not before.failed_before(one.test)]
    known = {one.test for one in before.broken}
    broken = [one for one in after.broken if one.test not in known]
    yield from (*broken, *failing)
    if not failing and not broken and (after.state != "ran" or not after.counted):
        yield from _of_run(before, after)
    elif after.found < before.found and not broken:
        yield BaselineFailure(
            test=after.command[:300] or "tests", error=f"{before.found - after.found} tests fewer are found"
        )


def _of_run(before: Baseline, after: Baseline) -> Iterator[BaselineFailure]:
    why = after.obstacle or after.error
    how = "it did not end" if after.exit_code is None else f"exit code {after.exit_code}"
    if after.state == "timeout":
        if after.seconds < 2 * before.seconds:
            return
        how = f"time was up after {after.seconds:.0f} s, where it took {before.seconds:.0f} s"
    error = f"{how}: {why}".rstrip(": ")[:MAX_ERROR]
    yield BaselineFailure(test=after.command[:300] or "tests", error=error)
