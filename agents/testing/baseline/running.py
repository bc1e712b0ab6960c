"""Runs a repository's own tests in a workspace."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, Literal

from agents.testing.baseline.reading import read_results
from agents.testing.error_lines import first_error
from contracts.base.languages import PYTHON
from contracts.base.processes.bounded_call import bounded_call
from contracts.base.text import bounded
from contracts.documents.baseline import MAX_TAIL, Baseline
from contracts.documents.failure import MAX_ERROR
from contracts.ports.sandbox import Verdict
from contracts.ports.workspace import CommandLimits, Environment, ExecResult, Workspace

State = Literal["ran", "timeout", "no_tests", "cannot_run"]

_PLUGIN: Final = "multi_agent_baseline"
_FOLDER: Final = "/tmp/multi-agent-baseline"  # noqa: S108 - inside
_PLACE: Final = f"mkdir -p {_FOLDER} && cat > {_FOLDER}/{_PLUGIN}.py"
_RUN: Final = (
    f'PYTHONPATH="{_FOLDER}${{PYTHONPATH:+:$PYTHONPATH}}" PYTEST_PLUGINS={_PLUGIN} '
    'PYTEST_ADDOPTS="--continue-on-collection-errors $PYTEST_ADDOPTS" '
    f'exec "$@" > {_FOLDER}/output 2>&1'
)
_RESULT_BYTES: Final = 16_000_000
_ENDED: Final = frozenset({Verdict.OK, Verdict.FAILED})
_NO_TESTS: Final = 5
_NOT_FOUND: Final = frozenset({126, 127})


def environment_hash(environment: Environment) -> str:
    """A name for what programs find beside the tree."""
    parts: list[object] = [sorted(environment.mounts.items()), sorted(environment.variables.items())]
    parts += [environment.private.hash] if environment.private else []
    parts += [environment.at_host.hash] if environment.at_host else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


async def run_baseline(
    workspace: Workspace, tree: str, environment: str, argv: Sequence[str], seconds: float
) -> Baseline:
    """Run a command in a workspace that nothing was run in yet, for at most so long.

    environment: its hash. Raises SandboxUnavailable.
    """
    plugin = resources.files("agents.testing").joinpath("harness/baseline_plugin.py").read_bytes()
    await workspace.exec(1, ("sh", "-c", _PLACE), stdin=plugin)
    ended = await workspace.exec(2, ("sh", "-c", _RUN, "sh", *argv), limits=CommandLimits(seconds))
    results = await workspace.exec(
        3, ("cat", f"{_FOLDER}/results"), limits=CommandLimits(output_bytes=_RESULT_BYTES)
    )
    output = await workspace.exec(4, ("tail", "-c", str(MAX_TAIL), f"{_FOLDER}/output"))
    counts = await bounded_call(len(results.stdout), read_results, results.stdout)
    text = output.stdout.decode("utf-8", "replace")
    return Baseline(
        tree=tree,
        environment=environment,
        command=shlex.join(argv),
        state=_state(tuple(argv), ended, counts),
        exit_code=ended.exit_code,
        error=bounded(_error(ended, text), MAX_ERROR),
        tail=bounded(text, MAX_TAIL),
        seconds=round(ended.seconds, 1),
        **counts,
    )


def _error(ended: ExecResult, output: str) -> str:
    if ended.verdict not in _ENDED:
        return f"the sandbox ended it: {ended.verdict}"
    return first_error(output, ()).error if ended.exit_code else ""


def _state(argv: tuple[str, ...], ended: ExecResult, counts: dict[str, Any]) -> State:
    if ended.verdict is Verdict.TIMEOUT:
        return "timeout"
    if ended.verdict not in _ENDED or ended.exit_code in _NOT_FOUND:
        return "cannot_run"
    if not counts:
        # A pytest that began no session did not get as far as its tests.
        is_pytest = any(argv[: len(start)] == start for start in PYTHON.commands)
        return "cannot_run" if is_pytest and ended.exit_code else "ran"
    if not counts["found"] and not counts["not_loaded"]:
        return "no_tests" if ended.exit_code == _NO_TESTS else "cannot_run"
    return "ran"
