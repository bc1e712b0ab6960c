"""Tests that ran before a file with tests was changed still run after it, whatever its source says."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from agents.roles.checks.without_work import commands_for, run_commands
from agents.sdk.task import Task
from agents.testing.validation import merged_tree
from contracts.documents.test_ids import NamedTest, named_test

_LACKS: Final = ("ImportError", "ModuleNotFoundError")


async def no_longer_run(
    task: Task,
    changes: Mapping[str, bytes | str | None],
    free: Set[NamedTest] = frozenset(),
) -> list[str]:
    """Return the ids of tests in changed files that ran in the task's tree and do not with the changes.

    They are gone then, or skipped. Not those of a file that imports what is not there: their run says so.
    free: tests whose ids may change. Raises as `run_test`.
    """
    files = task.files
    paths = [path for path, content in changes.items() if content is not None and path in files]
    if not (commands := list(commands_for(paths))):
        return []
    before, after = [
        (await run_commands(task, commands, tree)).results for tree in (files, merged_tree(files, changes))
    ]
    lacking = {case.test_id for case in after if case.message.startswith(_LACKS)}
    ran = ({case.test_id for case in found if case.outcome != "skipped"} for found in (before, after))
    lost = ((test, named_test(test)) for test in set.difference(*ran))
    return sorted(
        test
        for test, named in lost
        if named.path in paths and named.path not in lacking and named not in free
    )
