"""Plans test sessions: the input of a language's harness, and what its report must show."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from agents.testing.node_commands import as_node, node_tests
from agents.testing.pytest_commands import PytestCommand, as_pytest, expected_tests, failable_tests
from agents.testing.verdict import Expectation
from contracts.base.languages import NODE, PYTHON, Language, code_under_test

HARNESS_FOLDER: Final = ".test-harness"
_SUPERVISOR: Final = f"{HARNESS_FOLDER}/supervise.py"
_MAX_TWINS: Final = 3
_CANARIES: Final = (
    "assert 1 == 2",
    "raise RuntimeError('must fail')",
    "with pytest.raises(ValueError):\n        pass",
)


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One execution of the harness in a sandbox."""

    language: Language
    files: Mapping[str, bytes]
    """path -> content of the harness's files, to be added to the tree."""
    stdin: bytes
    """The order for `supervise.py`; it contains the nonce."""
    nonce: str
    expectations: tuple[Expectation, ...]
    """What each run must show, in the order of the runs."""

    @property
    def argv(self) -> tuple[str, ...]:
        return ("python", "-I", "-S", _SUPERVISOR)


def plan_session(argv: tuple[str, ...], files: Mapping[str, bytes]) -> SessionPlan | None:
    """Plan the session for an acceptance command; None when no harness supports the command.

    Names and choices are random in each plan. Raises InvalidInput for an option that may not be used.
    """
    command = as_pytest(argv)
    if command is not None:
        return _python(command, files)
    targets = as_node(argv, files)
    return None if targets is None else _node(targets, files)


def _python(command: PytestCommand, files: Mapping[str, bytes]) -> SessionPlan:
    names = [_name() for _ in _CANARIES]
    file = f"{HARNESS_FOLDER}/{_name()}.py"
    tests = [f"def {name}():\n    {body}\n" for name, body in zip(names, _CANARIES, strict=True)]
    twins = _chosen_twins(command, files)
    by_file: dict[str, dict[str, str]] = {}
    for test, twin in twins.items():
        path, _, name = test.partition("::")
        by_file.setdefault(path, {})[name] = twin.partition("::")[2]
    canaries = [f"{file}::{name}" for name in names]
    order = {
        "args": command.args,
        "measure": code_under_test(files, PYTHON),
        "canaries": {"file": file, "tests": canaries},
        "twins": by_file,
    }
    added = {
        file: "\n\n".join(["import pytest\n", *tests]).encode(),
        f"{HARNESS_FOLDER}/pytest.ini": b"[pytest]\n",
    }
    expectation = Expectation(frozenset(canaries), expected_tests(command, files), twins)
    run = {"argv": ["python", "-B", "-I", f"{HARNESS_FOLDER}/run_pytest.py"], "order": order}
    return _plan(PYTHON, [run], (expectation,), added, ("run_pytest.py", "strict.py"))


def _chosen_twins(command: PytestCommand, files: Mapping[str, bytes]) -> dict[str, str]:
    """Choose a few tests at random: test id -> id of its copy that must fail."""
    tests = sorted(failable_tests(command, files))
    chosen = random.SystemRandom().sample(tests, min(_MAX_TWINS, len(tests)))
    return {test: test[: test.rindex("::") + 2] + _name() for test in chosen}


def _node(targets: tuple[str, ...], files: Mapping[str, bytes]) -> SessionPlan:
    runs: list[dict[str, Any]] = []
    expectations: list[Expectation] = []
    for path in targets:
        names = {
            kind: _name() for kind in ("first", "strictEqual", "deepStrictEqual", "ok", "throws", "rejects")
        }
        runs.append({"argv": _node_argv(), "order": {"file": path, "canaries": names}})
        canaries = frozenset(f"{path}::{name}" for name in names.values())
        expectations.append(Expectation(canaries, node_tests(path, files[path])))
    return _plan(NODE, runs, tuple(expectations), {}, ("run_node.mjs", "node_reporter.mjs"))


def _node_argv() -> list[str]:
    reporter = f"./{HARNESS_FOLDER}/node_reporter.mjs"
    options = [f"--test-reporter={reporter}", "--test-reporter-destination=stderr", "--no-warnings"]
    return ["node", *options, f"{HARNESS_FOLDER}/run_node.mjs"]


def _plan(
    language: Language,
    runs: list[dict[str, Any]],
    expectations: tuple[Expectation, ...],
    added: Mapping[str, bytes],
    scripts: tuple[str, ...],
) -> SessionPlan:
    nonce = secrets.token_hex(16)
    folder = resources.files("agents.testing").joinpath("harness")
    harness = {
        f"{HARNESS_FOLDER}/{name}": folder.joinpath(name).read_bytes() for name in ("supervise.py", *scripts)
    }
    stdin = json.dumps({"nonce": nonce, "runs": runs}).encode()
    return SessionPlan(language, {**harness, **added}, stdin, nonce, expectations)


def _name() -> str:
    return f"test_{secrets.token_hex(6)}"
