"""What makes the results of tests doubtful and stood in the repository before any work: no fault of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agents.roles.checks.collected import Collected
from agents.roles.checks.without_work import commands_for, run_commands
from agents.sdk.task import Task
from agents.testing.pytest_commands import split_command
from contracts.base.languages import LANGUAGES
from contracts.documents.todo_list import AcceptanceTest

_MOST: Final = 20
"""So many of the base's files with tests are run at most; more that is odd is not compared."""


async def run_compared(
    task: Task,
    commands: Sequence[AcceptanceTest],
    files: Mapping[str, bytes],
    start: Mapping[str, bytes],
    excused: frozenset[str] = frozenset(),
) -> Collected:
    """Run them on `files`; what is odd about the base's own tests on the base too is no problem.

    Nothing that a workflow wrote has a say in that. Raises as `run_test`.
    """
    known: frozenset[str] = frozenset()
    there = list(commands_for(_nearest(commands, start)))
    while True:
        found = await run_commands(task, commands, files, excused, known)
        if not there or not found.odd or len(known) > _MOST:
            return found
        # What comes later than the first of it shows once that is known.
        both = found.odd & (await run_commands(task, there, start, known=known)).odd
        if not both:
            return found
        known |= both


def _nearest(commands: Iterable[AcceptanceTest], start: Mapping[str, bytes]) -> list[str]:
    """The base's files with tests that commands name, else those in the same folders, else any."""
    tests = sorted(path for path in start if any(language.is_test_file(path) for language in LANGUAGES))
    words = {word.partition("::")[0].rstrip("/") for one in commands for word in split_command(one.cmd)}
    folders = {word.rpartition("/")[0] for word in words if "/" in word}
    named = [path for path in tests if path in words or any(path.startswith(f"{word}/") for word in words)]
    near = [path for path in tests if path.rpartition("/")[0] in folders]
    return (named or near or tests)[:_MOST]
