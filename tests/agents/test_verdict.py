"""What a harness report proves, and the texts that must read the same everywhere."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from agents.testing.problems import Expectation
from agents.testing.pytest_commands import as_pytest, selected_files, split_command
from agents.testing.python_tests import declared_in_python
from agents.testing.stable_text import normalised, normalised_tail
from agents.testing.verdict import read_session
from contracts.base.errors import InvalidInput
from contracts.base.languages import PYTHON, code_under_test
from contracts.ports.sandbox import Isolation, SandboxResult, Verdict

NONCE = "n0nce"
X = "test_a.py::test_x"
WANTED = (Expectation(frozenset({"c1", "c2"}), frozenset({X}), {X: "test_a.py::twin"}),)


def _ended(verdict: Verdict = Verdict.OK, exit_code: int | None = 0) -> SandboxResult:
    return SandboxResult(verdict, exit_code, b"", b"", {}, 0.1, "test", Isolation.NAMESPACES)


def _events() -> list[dict[str, Any]]:
    return [
        {"kind": "collected", "ids": ["test_a.py::test_x"]},
        {"kind": "test", "id": "test_a.py::test_x", "when": "call", "outcome": "passed"},
        {"kind": "test", "id": "c1", "when": "call", "outcome": "failed"},
        {"kind": "test", "id": "c2", "when": "call", "outcome": "failed"},
        {"kind": "test", "id": "test_a.py::twin", "when": "call", "outcome": "failed"},
        {"kind": "end", "exit_code": 1, "coverage": 80.0},
    ]


def _raw(events: list[dict[str, Any]], nonce: str = NONCE, exit_code: int = 1) -> bytes:
    report = {"nonce": nonce, "runs": [{"exit_code": exit_code, "events": events}]}
    return zlib.compress(json.dumps(report).encode())


def _but(test_id: str, **changed: Any) -> list[dict[str, Any]]:
    return [{**event, **changed} if event.get("id") == test_id else event for event in _events()]


def test_a_whole_report_passes() -> None:
    session = read_session(_raw(_events()), NONCE, _ended(), WANTED)
    assert session.passed
    assert session.problems == ()
    assert session.coverage_percent == 80.0


@pytest.mark.parametrize(
    ("raw", "ended", "problem"),
    [
        (b"", _ended(), "no report that can be read"),
        (b"{", _ended(), "no report that can be read"),
        (zlib.compress(b"{"), _ended(), "no report that can be read"),
        (_raw(_events(), nonce="other"), _ended(), "not the one that was asked for"),
        (_raw(_events(), exit_code=0), _ended(), "contradicts"),
        (_raw(_events(), exit_code=4), _ended(), "usage error"),
        (_raw(_events()), _ended(exit_code=1), "left no report"),
        (_raw(_events()), _ended(Verdict.TIMEOUT, None), "longer than allowed"),
        (_raw(_events()), _ended(Verdict.OOM, 137), "more memory"),
        (_raw(_events()[:-1]), _ended(), "did not come to its end"),
        (_raw([event for event in _events() if event.get("id") != "c2"]), _ended(), "must fail"),
        (_raw(_but("c1", outcome="passed")), _ended(), "must fail"),
        (_raw([*_events(), _events()[2]]), _ended(), "must fail"),
        (_raw(_but("test_a.py::twin", outcome="passed")), _ended(), "must fail"),
        (_raw(_but("test_a.py::twin", id="other")), _ended(), "must fail"),
        (_raw([*_events()[:-1], {**_events()[-1], "changed": ["pytest.raises"]}]), _ended(), "pytest.raises"),
        (_raw([event for event in _events() if event.get("id") != X]), _ended(), "without an outcome"),
        (_raw([event for event in _events()[1:] if event.get("id") != X]), _ended(), "were not run"),
    ],
)
def test_anything_less_does_not(raw: bytes, ended: SandboxResult, problem: str) -> None:
    session = read_session(raw, NONCE, ended, WANTED)
    assert not session.passed
    assert problem in "; ".join(session.problems)


def test_the_worst_outcome_of_a_test_counts() -> None:
    teardown = {
        "kind": "test",
        "id": "test_a.py::test_x",
        "when": "teardown",
        "outcome": "failed",
        "message": "E",
    }
    session = read_session(_raw([*_events(), teardown]), NONCE, _ended(), WANTED)
    assert not session.passed
    assert [(case.outcome, case.message) for case in session.results] == [("error", "E")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("assert 1 == 2\n +  where 1 = f()", "assert 1 == 2"),
        ("assert <A object at 0x7f3a2b1c> == 1", "assert <A object> == 1"),
        ("FileNotFoundError: '/home/a/b/data.csv'", "FileNotFoundError: 'data.csv'"),
        ("slow: 0.123s", "slow: (time)"),
        (
            "NameError: name 'pint' is not defined. Did you mean: 'print'?",
            "NameError: name 'pint' is not defined",
        ),
        ("Failed: DID NOT RAISE <class 'ValueError'>", "Failed: DID NOT RAISE ValueError"),
        ("AssertionError: assert [1] == [2]", "assert [1] == [2]"),
        ("AssertionError: assertive", "AssertionError: assertive"),
        ("ratio 1/2 and a/b/c stay", "ratio 1/2 and a/b/c stay"),
        ("\x1b[31mred\x1b[0m \x07", "red ?"),
        ("", ""),
    ],
)
def test_messages_are_normalised(message: str, expected: str) -> None:
    assert normalised(message) == expected


def test_a_tail_is_short_and_normalised() -> None:
    tail = normalised_tail(b"".join(b"line %d at 0xdeadbeef0\n" % number for number in range(50)))
    assert tail.splitlines()[0] == "line 30"
    assert len(tail.splitlines()) == 20


def test_pytest_is_recognised_and_its_talk_dropped() -> None:
    command = as_pytest(split_command("python -m pytest -q -x --tb=short --maxfail 1 -k 'a and b' ./tests"))
    assert command is not None
    assert command.args == ("-k", "a and b", "tests")
    assert command.selective
    everything = as_pytest(("pytest", "-v"))
    assert everything is not None
    assert everything.args == (".",)
    assert as_pytest(("python", "main.py")) is None


def test_a_command_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        split_command("pytest 'open")
    with pytest.raises(InvalidInput, match="empty"):
        split_command("  ")


def test_expected_tests_are_read_from_the_source() -> None:
    source = b"""
import pytest

@pytest.fixture
def test_data(): ...

def test_one(): ...
async def test_two(): ...
def helper(): ...

class TestMore:
    def test_three(self): ...
    def helper(self): ...

class TestHelper:
    __test__ = False
    def test_no(self): ...

class TestMade:
    def __init__(self): ...
    def test_no(self): ...
"""
    files = {"tests/test_a.py": source, "app/test_b.py": b"def test_b(): ...", "broken/test_c.py": b"def ("}
    command = as_pytest(("pytest", "tests"))
    assert command is not None
    names = ["test_one", "test_two", "TestMore::test_three"]
    assert declared_in_python(selected_files(command, files)).expected == {
        f"tests/test_a.py::{name}" for name in names
    }
    everywhere = as_pytest(("pytest",))
    assert everywhere is not None
    assert "app/test_b.py::test_b" in declared_in_python(selected_files(everywhere, files)).expected
    assert code_under_test(["a.py", "tests/util.py", "test_x.py", "conftest.py", "b.txt"], PYTHON) == ["a.py"]
