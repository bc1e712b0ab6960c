"""How many tests passed, by the last lines of the runners of JavaScript."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from contracts.documents.baseline import Baseline

_SUMMARIES: Final = (
    (re.compile(r"^(?:# |ℹ )pass (\d+)$", re.M), re.compile(r"^(?:# |ℹ )fail (\d+)$", re.M)),
    (re.compile(r"^Tests: .*?(\d+) passed", re.M), re.compile(r"^Tests: .*?(\d+) failed", re.M)),
    (re.compile(r"^\s*(\d+) passing", re.M), re.compile(r"^\s*(\d+) failing", re.M)),
)


class Counts(NamedTuple):
    """Tests that passed, and that did not."""

    passed: int
    failed: int

    @property
    def share(self) -> float:
        """Of those that ran."""
        return self.passed / ((self.passed + self.failed) or 1)


def counts_of(result: Baseline) -> Counts | None:
    """What a run of tests says; None where it does not say how many ran."""
    if result.counted:
        return Counts(result.passed, result.failed + result.not_loaded)
    for passed, failed in _SUMMARIES:
        if found := passed.findall(result.tail):
            missed = failed.findall(result.tail)
            return Counts(int(found[-1]), int(missed[-1]) if missed else 0)
    return None
