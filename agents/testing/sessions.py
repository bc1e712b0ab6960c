"""Plans test sessions: the input of a language's harness, and what its report must show."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Final

from agents.testing.apart.choosing import ApartTests, apart_node_files, apart_tests
from agents.testing.declared import DeclaredTests
from agents.testing.node_commands import as_node, declared_in_node
from agents.testing.problems import Expectation
from agents.testing.pytest_commands import PytestCommand, as_pytest, selected_files
from agents.testing.pytest_settings import import_folders, plugin_settings
from agents.testing.python_tests import declared_in_python
from agents.testing.unittest_commands import as_unittest
from contracts.base.errors import AgentFailure, LimitExceeded
from contracts.base.languages import NODE, PYTHON, Language, code_under_test, serves_tests
from contracts.base.processes.bounded_call import bounded_call

HARNESS_FOLDER: Final = "multi-agent-test-harness"
"""Not hidden: for `pytest .` it is a part of the tree, where pytest finds no hidden folders."""
_SUPERVISOR: Final = f"{HARNESS_FOLDER}/supervise.py"
_PYTHON_HARNESS: Final = (
    *("run_pytest.py", "session.py", "rewriting.py", "strict.py", "assertions.py", "integrity.py"),
    *("watching.py", "meter.py", "traces.py", "quiet.py"),
    *("apart/wire.py", "apart/stand_ins.py", "apart/peer.py", "apart/tests_side.py", "apart/code_side.py"),
)
_NODE_HARNESS: Final = (
    *(
        "run_node.mjs",
        "node_reporter.mjs",
        "node_assertions.mjs",
        "node_apart/files.mjs",
        "node_apart/kinds.mjs",
    ),
    *("node_apart/wire.mjs", "node_apart/peer.mjs", "node_apart/running.mjs"),
    *("node_apart/tests_side.mjs", "node_apart/code_side.mjs"),
)
_NODE_CODE: Final = ["node", "--no-warnings", f"{HARNESS_FOLDER}/node_apart/code_side.mjs"]
_MAX_TWINS: Final = 3
_CANARIES: Final = (
    "assert 1 == 2",
    "raise RuntimeError('must fail')",
    "with pytest.raises(ValueError):\n        pass",
)


@dataclass(frozen=True, slots=True)
class ApartPlan:
    """Tests that may run apart from the code."""

    plan: SessionPlan
    is_whole: bool
    """Whether they are all tests of the command."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One execution of the harness in a sandbox."""

    language: Language
    files: Mapping[str, bytes | None]
    """Changes for the tree: the harness's files, and what goes because it has their places."""
    stdin: bytes
    """The order for `supervise.py`; it contains the nonce."""
    nonce: str
    expectations: tuple[Expectation, ...]
    """What each run must show, in the order of the runs."""
    read_only: tuple[str, ...]
    """Files that must stay as they are: the harness's, and those that serve tests."""
    apart: ApartPlan | None = None
    """The tests that may run apart from their code, in a session of their own before this one."""

    def alone(self, tests: ApartTests) -> SessionPlan:
        """The same with these tests alone, in another process than the code."""
        order = json.loads(self.stdin)
        told = {"apart": tests.files, "together": sorted(tests.together)}
        runs = [{**run, "order": {**run["order"], **told}} for run in order["runs"]]
        wanted = tuple(
            replace(one, expected=frozenset(filter(tests.has, one.expected))) for one in self.expectations
        )
        return replace(self, stdin=json.dumps({**order, "runs": runs}).encode(), expectations=wanted)

    @property
    def argv(self) -> tuple[str, ...]:
        return ("python", "-I", "-S", _SUPERVISOR)


async def plan_session(
    argv: tuple[str, ...],
    files: Mapping[str, bytes],
    *,
    plugins: bool = False,
    known: Collection[str] = (),
) -> SessionPlan | None:
    """Plan the session for an acceptance command; None when no harness supports the command.

    plugins: whether plugins of the environment's test program take part.
    known: names of the test program that are not looked after.

    Names and choices are random in each plan. Raises InvalidInput for an option that may not be used, and
    AgentFailure for tests that take too long to read.
    """
    command = as_pytest(argv) or as_unittest(argv, files)
    if command is not None:
        selected = selected_files(command, files)
        fixtures = {path: files[path] for path in files if path.rpartition("/")[2] == "conftest.py"}
        declared = await _declared(declared_in_python, {**selected, **fixtures})
        plan = _python(command, files, declared, plugins=plugins, known=known)
        alone = await _apart(selected, fixtures)
        whole = len(alone.files) == len(selected) and not alone.together
        return replace(plan, apart=ApartPlan(plan.alone(alone), is_whole=whole)) if alone.files else plan
    targets = as_node(argv, files)
    if targets is None:
        return None
    declared = await _declared(declared_in_node, {path: files[path] for path in targets})
    plan = _node(targets, files, declared)
    few = apart_node_files(targets, files)
    whole = len(few) == len(targets)
    return replace(plan, apart=ApartPlan(_node(few, files, declared, apart=True), whole)) if few else plan


async def _apart(selected: Mapping[str, bytes], fixtures: Mapping[str, bytes]) -> ApartTests:
    size = sum(map(len, (*selected.values(), *fixtures.values())))
    try:
        return await bounded_call(size, apart_tests, selected, fixtures)
    except LimitExceeded:
        return ApartTests()


async def _declared(
    read: Callable[[Mapping[str, bytes]], DeclaredTests], files: Mapping[str, bytes]
) -> DeclaredTests:
    try:
        return await bounded_call(sum(map(len, files.values())), read, files)
    except LimitExceeded as error:
        message = f"the source of the tests {error}; write fewer tests, or smaller ones"
        raise AgentFailure(message, code="invalid_code") from error


def _python(
    command: PytestCommand,
    files: Mapping[str, bytes],
    declared: DeclaredTests,
    *,
    plugins: bool,
    known: Collection[str],
) -> SessionPlan:
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
        "plugins": plugins,
        "known": sorted(known),
        "import_from": import_folders(files),
        "measure": code_under_test(files, PYTHON),
        "apart": (),
        "together": (),
        "canaries": {"file": file, "tests": canaries},
        "twins": by_file,
    }
    added = {
        file: "\n\n".join(["import pytest\n", *tests]).encode(),
        f"{HARNESS_FOLDER}/pytest.ini": _pytest_ini(files if plugins else {}),
    }
    expected = frozenset[str]() if command.selective else declared.expected
    expectation = Expectation(frozenset(canaries), expected, twins, declared.skips, declared.plain)
    run = {"argv": ["python", "-B", "-I", f"{HARNESS_FOLDER}/run_pytest.py"], "order": order}
    return _plan(PYTHON, [run], (expectation,), added, _PYTHON_HARNESS, files)


def _pytest_ini(files: Mapping[str, bytes]) -> bytes:
    lines = [f"{name} = {value}\n" for name, value in plugin_settings(files).items()]
    return "".join(["[pytest]\n", *lines]).encode()


def _chosen_twins(declared: DeclaredTests) -> dict[str, str]:
    """Choose a few tests at random: test id -> id of its copy that must fail."""
    tests = sorted(declared.failable)
    chosen = random.SystemRandom().sample(tests, min(_MAX_TWINS, len(tests)))
    return {test: test[: test.rindex("::") + 2] + _name() for test in chosen}


def _node(
    targets: tuple[str, ...], files: Mapping[str, bytes], declared: DeclaredTests, *, apart: bool = False
) -> SessionPlan:
    runs: list[dict[str, Any]] = []
    expectations: list[Expectation] = []
    serving = set(filter(serves_tests, files))
    tree = {"tests": sorted(serving), "code": sorted(files.keys() - serving)}
    program, *arguments = _node_argv()
    for path in targets:
        names = {
            kind: _name() for kind in ("first", "strictEqual", "deepStrictEqual", "ok", "throws", "rejects")
        }
        order = {"file": path, "canaries": names, "apart": tree if apart else None}
        run: dict[str, Any] = {"argv": [program, *arguments], "order": order}
        if apart:
            run |= {"argv": [program, "--experimental-vm-modules", *arguments], "beside": _NODE_CODE}
        runs.append(run)
        canaries = frozenset(f"{path}::{name}" for name in names.values())
        expected = frozenset(test for test in declared.expected if test.startswith(f"{path}::"))
        expectations.append(Expectation(canaries, expected, skips=declared.skips))
    return _plan(NODE, runs, tuple(expectations), {}, _NODE_HARNESS, files)


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
    # Nothing of the tree may lie beside the harness, where it would be imported.
    gone = dict.fromkeys((HARNESS_FOLDER, *(path for path in files if _is_beside_harness(path))))
    tests = sorted(path for path in files if serves_tests(path) and path not in gone)
    read_only = (*harness, *added, *tests)
    stdin = json.dumps({"nonce": nonce, "runs": runs, "unchanged": read_only}).encode()
    return SessionPlan(language, {**gone, **harness, **added}, stdin, nonce, expectations, read_only)


def _is_beside_harness(path: str) -> bool:
    return path.startswith(f"{HARNESS_FOLDER}/")


def _name() -> str:
    return f"test_{secrets.token_hex(6)}"
