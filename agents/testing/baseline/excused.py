"""Which failures are no reason to call work wrong: those that were there before it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agents.testing.baseline.commands import PYTEST
from contracts.documents.baseline import Baseline
from contracts.documents.failure import TestFailure
from contracts.messages.payloads import TaskRequest


def excused(
    baseline: Baseline | None, request: TaskRequest, files: Mapping[str, bytes], start: Mapping[str, bytes]
) -> frozenset[str]:
    """Return the ids of tests that failed on the base, whose file is as it was there.

    A test that somebody asked to mend is never among them: one whose name the request, the task or its
    commands have, and all of a file that the user names.
    """
    if baseline is None:
        return frozenset()
    commands = [test.cmd for test in request.item.acceptance_criteria.tests]
    asked = "\n".join([request.request, request.item.title, request.item.description, *commands])
    words = frozenset(re.findall(r"\w+", asked))
    found = set()
    for test in (one.test for one in baseline.failing):
        path, _, name = test.partition("::")
        function = name.rpartition("::")[2].partition("[")[0]
        as_it_was = path in files and files[path] == start.get(path)
        if function and as_it_was and function not in words and path not in request.request:
            found.add(test)
    return frozenset(found)


def on_base(failure: TestFailure, baseline: Baseline | None) -> bool | None:
    """Whether the base fails in the same way, of a failure in tests that are as they were.

    None where that is not known.
    """
    if baseline is None or not baseline.counted:
        return None
    if failure.kind == "failed" and baseline.failed_before(failure.test):
        return True
    if failure.kind == "not_loaded" and any(one.test == failure.test for one in baseline.broken):
        return True
    everything = baseline.complete and not baseline.not_loaded and baseline.command == PYTEST
    return False if failure.kind == "failed" and everything else None
