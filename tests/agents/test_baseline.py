"""What a repository's own tests say of its base: which command, and what is read from what it writes."""

from __future__ import annotations

import json
import time

import pytest

from agents.testing.baseline.commands import test_command as command_for
from agents.testing.baseline.reading import read_results
from agents.testing.baseline.running import environment_hash
from contracts.documents.baseline import MAX_FAILING, Baseline
from contracts.ports.workspace import NO_ENVIRONMENT, Environment

PACKAGE = b'{"scripts": {"test": "vitest run"}}'
EMPTY_PACKAGE = b'{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'


@pytest.mark.parametrize(
    ("paths", "named", "package", "command"),
    [
        (["a_test.py"], "tox -e 'py 3'", PACKAGE, ("tox", "-e", "py 3")),
        (["src/test_a.py"], None, PACKAGE, ("python", "-m", "pytest")),
        (["a.js", "a.test.js"], None, PACKAGE, ("npm", "test")),
        (["a.test.mjs"], None, EMPTY_PACKAGE, ("node", "--test")),
        (["a.test.mjs"], None, b"[" * 100_000, ("node", "--test")),
        (["a.test.mjs"], None, b'{"scripts": {"test": 3}}', ("node", "--test")),
        (["node_modules/x/a.test.js", "a.js"], None, EMPTY_PACKAGE, ()),
        (["tests/data.txt", "testing.py"], None, None, ()),
    ],
)
def test_the_command_is_the_repositorys_else_that_of_its_tests(
    paths: list[str], named: str | None, package: bytes | None, command: tuple[str, ...]
) -> None:
    assert command_for(paths, named, package) == command


def _lines(*entries: object) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def test_a_test_with_several_outcomes_has_the_worst() -> None:
    raw = _lines(
        ["found", 3, ""],
        ["passed", "a", ""],
        ["failed", "a", "cannot be cleaned up\x1b[31m"],
        ["skipped", "b", ""],
        ["passed", "c", ""],
        ["not_loaded", "d.py", "no module"],
    )
    found = read_results(raw)
    assert [found[key] for key in ("passed", "failed", "skipped", "not_loaded", "found")] == [1, 1, 1, 1, 3]
    assert [(one.test, one.error) for one in found["failing"]] == [("a", "cannot be cleaned up\\x1b[31m")]
    assert [one.test for one in found["broken"]] == ["d.py"]


def test_what_tests_write_in_between_is_left_out() -> None:
    good = _lines(["found", 1, ""], ["passed", "a", ""])
    bad = _lines(3, [], ["passed"], ["passed", 3, ""], [{}, "x", ""], ["found", "many", ""], ["x", "y", 3])
    assert read_results(bad + b"\xff{" + b"[" * 100_000 + b"\n" + good + b'["failed", "b"') == read_results(
        good
    )
    assert read_results(b"") == {}


def test_very_many_are_counted_and_the_first_are_named() -> None:
    before = time.process_time()
    found = read_results(_lines(*(["failed", f"t{number}", "e" * 600] for number in range(20_000))))
    assert time.process_time() - before < 5
    assert (found["failed"], len(found["failing"])) == (20_000, MAX_FAILING)
    made = _baseline(**found)
    assert not made.complete
    assert len(made.model_dump_json()) < 500_000


def _baseline(**fields: object) -> Baseline:
    return Baseline.model_validate(
        {"tree": "a" * 40, "environment": "b" * 64, "command": "pytest", "state": "ran", **fields}
    )


@pytest.mark.parametrize(
    ("fields", "obstacle", "sentence"),
    [
        ({"state": "no_tests"}, "", "no tests found"),
        (
            {"counted": True, "found": 5, "passed": 3, "failed": 1, "skipped": 1, "not_loaded": 1},
            "",
            "3 passed, 1 failed, 1 skipped, 1 files not loaded; 67 % ran (pytest, 0 s)",
        ),
        (
            {"counted": True, "state": "timeout", "found": 8, "passed": 2, "seconds": 9},
            "",
            "2 passed, 0 failed, 0 skipped; 25 % ran, time was up (pytest, 9 s)",
        ),
        ({"exit_code": 0}, "", "exit code 0 (pytest, 0 s)"),
        ({"exit_code": 2, "error": "boom"}, "", "exit code 2: boom (pytest, 0 s)"),
        (
            {"state": "cannot_run", "exit_code": 127, "error": "not found"},
            "pytest ended with exit code 127: not found",
            "the repository's tests cannot run: pytest ended with exit code 127: not found",
        ),
        (
            {"counted": True, "not_loaded": 1, "broken": [{"test": "t.py", "error": "no x"}]},
            "t.py cannot be loaded: no x",
            "the repository's tests cannot run: t.py cannot be loaded: no x",
        ),
        (
            {"state": "timeout"},
            "time was up before any test ended",
            "the repository's tests cannot run: time was up before any test ended",
        ),
    ],
)
def test_it_is_said_in_one_line(fields: dict[str, object], obstacle: str, sentence: str) -> None:
    made = _baseline(**fields)
    assert (made.obstacle, made.sentence) == (obstacle, sentence)


def test_an_environment_has_a_name_of_its_own() -> None:
    one = Environment({"/env": "/cache/a"}, {"A": "1"})
    other = Environment({"/env": "/cache/a"}, {"A": "2"})
    assert len({environment_hash(each) for each in (NO_ENVIRONMENT, one, other)}) == 3
    assert environment_hash(one) == environment_hash(Environment({"/env": "/cache/a"}, {"A": "1"}))
