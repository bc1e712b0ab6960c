"""Two runs of all tests, before and after a change."""

from __future__ import annotations

from typing import Any

import pytest

from agents.testing.baseline.regressions import gone, regressions
from contracts.documents.baseline import Baseline
from contracts.documents.reports import TestCase


def _run(**fields: Any) -> Baseline:
    known = {"tree": "a" * 40, "environment": "b" * 64, "command": "make test", "state": "ran"}
    return Baseline.model_validate({**known, "exit_code": 0, **fields})


def _tests(*failing: str, passed: int = 5, **fields: Any) -> Baseline:
    listed = [{"test": name, "error": "no"} for name in failing]
    counts = {"counted": True, "found": passed + len(failing), "passed": passed, "failed": len(failing)}
    return _run(failing=listed, exit_code=int(bool(failing)), **{**counts, **fields})


def _cases(*named: str, outcome: Any = "passed") -> list[TestCase]:
    return [TestCase(test_id=name, outcome=outcome) for name in named]


def test_tests_that_passed_and_are_found_no_more_are_gone() -> None:
    before = _cases("t/a.py::test_x[1]", "t/a.py::test_y", "t/a.py::T::test_z", "t/b.py::test_moved", "make")
    before += [*_cases("t/a.py::test_red", outcome="failed"), *_cases("t/a.py::test_it", "t/b.py::test_it")]
    after = _cases("t/a.py::test_x[2]", "t/c.py::test_moved", "t/b.py::test_it") + _cases(
        "t/a.py::test_y", outcome="skipped"
    )
    assert [one.test for one in gone(before, after)] == ["t/a.py::T::test_z", "t/a.py::test_it"]
    assert gone(before, before) == ()


BROKEN: dict[str, Any] = {"broken": [{"test": "t/b.py", "error": "no"}], "not_loaded": 1}
LATE: dict[str, Any] = {"state": "timeout", "seconds": 30}
CASES = {
    "nothing": (_tests("old"), _tests("old"), []),
    "another test": (_tests("old"), _tests("old", "new"), ["new"]),
    "a file that cannot be loaded": (_tests(), _tests(**BROKEN), ["t/b.py"]),
    "a file that could not be loaded before": (_tests(**BROKEN), _tests(**BROKEN), []),
    "a run that names no test": (_tests(), _run(exit_code=1), ["make test"]),
    "a run that is ended by the code": (_tests(), _run(exit_code=0), ["make test"]),
    "a run without an end": (_tests(seconds=10), _tests(state="timeout", seconds=20), ["make test"]),
    "hardly more time than it took": (_tests("old", seconds=16), _tests("old", **LATE), []),
    "a failure before time was up": (_tests(seconds=16), _tests("new", **LATE), ["new"]),
    "an exit code that time did not reach": (_run(seconds=16), _run(exit_code=None, **LATE), []),
    "no exit code in much more time": (_run(seconds=10), _run(exit_code=None, **LATE), ["make test"]),
    "fewer tests": (_tests("old", passed=5), _tests("old", passed=4), ["make test"]),
    "more tests": (_tests("old", passed=5), _tests("old", passed=6), []),
    "not all failures before are known": (_tests("old", failed=2), _tests("new"), []),
    "an exit code": (_run(), _run(exit_code=2), ["make test"]),
    "an exit code as before": (_run(exit_code=2), _run(exit_code=2), []),
    "time was up before": (_run(state="timeout"), _run(exit_code=2), []),
    "could not run before": (_run(state="cannot_run", exit_code=2), _run(exit_code=2), []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_fails_now_and_did_not_before_is_found(case: str) -> None:
    before, after, expected = CASES[case]
    assert [one.test for one in regressions(before, after)] == expected


def test_a_run_that_does_not_end_says_how_long_it_had() -> None:
    before, after = _run(seconds=10), _run(state="timeout", exit_code=None, seconds=30)
    [found] = regressions(before, after)
    assert found.error == "time was up after 30 s, where it took 10 s: time was up before any test ended"
