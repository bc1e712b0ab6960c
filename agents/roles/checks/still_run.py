"""Tests that ran before a file with tests was changed still run after it, whatever its source says."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from agents.roles.checks.collected import Collected
from agents.roles.checks.without_work import commands_for, run_commands
from agents.sdk.task import Task
from agents.testing.validation import merged_tree
from contracts.documents.test_ids import NamedTest, named_test
from contracts.documents.todo_list import AcceptanceTest

_LACKS: Final = ("ImportError", "ModuleNotFoundError")
_NAMED: Final = 10


async def no_longer_run(
    task: Task,
    changes: Mapping[str, bytes | str | None],
    free: Set[NamedTest] = frozenset(),
) -> str:
    """Say which tests in changed files ran in the task's tree and do not with the changes; "" for none.

    They are gone then, or skipped, or time was up before them. Not those of a file that imports what is not
    there: their run says so. free: tests whose ids may change. Raises as `run_test`.
    """
    files = task.files
    paths = [path for path, content in changes.items() if content is not None and path in files]
    if not (commands := list(commands_for(paths))):
        return ""
    before, after = [
        await run_commands(task, commands, tree) for tree in (files, merged_tree(files, changes))
    ]
    lacking = {case.test_id for case in after.results if case.message.startswith(_LACKS)}
    ran = {
        test
        for test in _ran(before)
        if (named := named_test(test)).path in paths and named.path not in lacking and named not in free
    }
    if not (lost := sorted(ran - _ran(after))):
        return ""
    if cause := _cut_short(commands, after):
        return (
            f"{cause}: {len(ran) - len(lost)} of the {len(ran)} tests that are there have run with the change"
        )
    return f"tests that are there run no more: {', '.join(lost[:_NAMED])}"


def _ran(found: Collected) -> set[str]:
    return {case.test_id for case in found.results if case.outcome != "skipped"}


def _cut_short(commands: list[AcceptanceTest], found: Collected) -> str:
    """Why a run ended before its tests did; "" when none did."""
    for test, run in zip(commands, found.runs, strict=True):
        if run.verdict == "timeout":
            return f"time was up after {test.timeout_seconds} s"
        if run.verdict not in {"ok", "failed"}:
            return next((case.message for case in found.results if case.test_id == run.cmd), run.verdict)
    return ""
