"""Plans test sessions: the input of a language's harness, and what its report must show."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from agents.testing.declared import DeclaredTests
from agents.testing.node_commands import as_node, declared_in_node
from agents.testing.pytest_commands import PytestCommand, as_pytest, selected_files
from agents.testing.pytest_settings import import_folders
from agents.testing.python_tests import declared_in_python
from agents.testing.verdict import Expectation
from contracts.base.errors import AgentFailure, LimitExceeded
from contracts.base.languages import NODE, PYTHON, Language, code_under_test, serves_tests
from contracts.base.processes.bounded_call import bounded_call

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
    read_only: tuple[str, ...]
    """Files that must stay as they are: the harness's, and those that serve tests."""

    @property
    def argv(self) -> tuple[str, ...]:
        return ("python", "-I", "-S", _SUPERVISOR)


async def plan_session(argv: tuple[str, ...], files: Mapping[str, bytes]) -> SessionPlan | None:
    """Plan the session for an acceptance command; None when no harness supports the command.

    Names and choices are random in each plan. Raises InvalidInput for an option that may not be used, and
    AgentFailure for tests that take too long to read.
    """
    command = as_pytest(argv)
    if command is not None:
        selected = selected_files(command, files)
        fixtures = {path: files[path] for path in files if path.rpartition("/")[2] == "conftest.py"}
        return _python(command, files, await _declared(declared_in_python, {**selected, **fixtures}))
    targets = as_node(argv, files)
    if targets is None:
        return None
    return _node(targets, files, await _declared(declared_in_node, {path: files[path] for path in targets}))


async def _declared(
    read: Callable[[Mapping[str, bytes]], DeclaredTests], files: Mapping[str, bytes]
) -> DeclaredTests:
    try:
        return await bounded_call(sum(map(len, files.values())), read, files)
    except LimitExceeded as error:
        message = f"the source of the tests {error}; write fewer tests, or smaller ones"
        raise AgentFailure(message, code="invalid_code") from error


def _python(command: PytestCommand, files: Mapping[str, bytes], declared: DeclaredTests) -> SessionPlan:
    names = [_name() for _ in _CANARIES]
    file = f"{HARNESS_FOLDER}/{_name()}.py"
    tests = [f"def {name}():\n    {body}\n" for name, body in zip(names, _CANARIES, strict=True)]
    twins = {} if command.selective else _chosen_twins(declared)
    by_file: dict[str, dict[str, str]] = {}
    for test, twin in twins.items():
        path, _, name = test.partition("::")
        by_file.setdefault(path, {})[name] = twin.partition("::")[2]
    canaries = [f"{file}::{name}" for name in names]
    order = {
        "args": command.args,
        "tests": sorted(path for path in files if serves_tests(path) and path.endswith(PYTHON.suffixes)),
        "import_from": import_folders(files),
        "measure": code_under_test(files, PYTHON),
        "canaries": {"file": file, "tests": canaries},
        "twins": by_file,
    }
    added = {
        file: "\n\n".join(["import pytest\n", *tests]).encode(),
        f"{HARNESS_FOLDER}/pytest.ini": b"[pytest]\n",
    }
    expected = frozenset[str]() if command.selective else declared.expected
    expectation = Expectation(frozenset(canaries), expected, twins, declared.skips)
    run = {"argv": ["python", "-B", "-I", f"{HARNESS_FOLDER}/run_pytest.py"], "order": order}
    return _plan(PYTHON, [run], (expectation,), added, ("run_pytest.py", "strict.py", "meter.py"), files)


def _chosen_twins(declared: DeclaredTests) -> dict[str, str]:
    """Choose a few tests at random: test id -> id of its copy that must fail."""
    tests = sorted(declared.failable)
    chosen = random.SystemRandom().sample(tests, min(_MAX_TWINS, len(tests)))
    return {test: test[: test.rindex("::") + 2] + _name() for test in chosen}


def _node(targets: tuple[str, ...], files: Mapping[str, bytes], declared: DeclaredTests) -> SessionPlan:
    runs: list[dict[str, Any]] = []
    expectations: list[Expectation] = []
    for path in targets:
        names = {
            kind: _name() for kind in ("first", "strictEqual", "deepStrictEqual", "ok", "throws", "rejects")
        }
        runs.append({"argv": _node_argv(), "order": {"file": path, "canaries": names}})
        canaries = frozenset(f"{path}::{name}" for name in names.values())
        expected = frozenset(test for test in declared.expected if test.startswith(f"{path}::"))
        expectations.append(Expectation(canaries, expected, skips=declared.skips))
    return _plan(NODE, runs, tuple(expectations), {}, ("run_node.mjs", "node_reporter.mjs"), files)


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
    files: Mapping[str, bytes],
) -> SessionPlan:
    nonce = secrets.token_hex(16)
    folder = resources.files("agents.testing").joinpath("harness")
    harness = {
        f"{HARNESS_FOLDER}/{name}": folder.joinpath(name).read_bytes() for name in ("supervise.py", *scripts)
    }
    read_only = (*harness, *added, *sorted(path for path in files if serves_tests(path)))
    stdin = json.dumps({"nonce": nonce, "runs": runs, "unchanged": read_only}).encode()
    return SessionPlan(language, {**harness, **added}, stdin, nonce, expectations, read_only)


def _name() -> str:
    return f"test_{secrets.token_hex(6)}"
