"""Tests on the base, where nothing of a workflow's work is done."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from agents.roles.checks.acceptance_runs import run_test
from agents.roles.checks.collected import Collected
from agents.sdk.changed_tree import ChangedTree, is_changed
from agents.sdk.task import Task
from contracts.base.languages import LANGUAGES, serves_tests
from contracts.documents.todo_list import AcceptanceTest

_SECONDS: Final = 300
"""How long the tests of the work may run."""
_MOST_CHARACTERS: Final = 450
"""Of a command, less than AcceptanceTest allows."""


def commands_for(paths: Iterable[str]) -> Iterator[AcceptanceTest]:
    """The commands that run these files with tests, as few as their length allows."""
    paths = list(paths)
    for language in LANGUAGES:
        argv = [*language.commands[0]]
        for path in filter(language.is_test_file, paths):
            if len(argv) > len(language.commands[0]) and len(shlex.join([*argv, path])) > _MOST_CHARACTERS:
                yield AcceptanceTest(cmd=shlex.join(argv), timeout_seconds=_SECONDS)
                argv = [*language.commands[0]]
            argv.append(path)
        if len(argv) > len(language.commands[0]):
            yield AcceptanceTest(cmd=shlex.join(argv), timeout_seconds=_SECONDS)


def with_tests_alone(files: Mapping[str, bytes], start: Mapping[str, bytes]) -> ChangedTree:
    """The base with what `files` has instead of its files that serve tests."""
    paths = (path for path in {**dict.fromkeys(files), **dict.fromkeys(start)} if serves_tests(path))
    return ChangedTree(start, {path: files.get(path) for path in paths if is_changed(path, start, files)})


async def run_commands(
    task: Task,
    commands: Iterable[AcceptanceTest],
    files: Mapping[str, bytes],
    excused: frozenset[str] = frozenset(),
    known: frozenset[str] = frozenset(),
) -> Collected:
    """Run them on `files`, each in a sandbox of its own; see Collected. Raises as `run_test`."""
    collected = Collected(excused=excused, known=known)
    for test in commands:
        await run_test(task, test, files, collected)
    return collected
