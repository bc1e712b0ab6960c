"""The commands that run a workflow's tests in a plain checkout of what it delivers."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from contracts.base.errors import MultiAgentError
from contracts.base.languages import LANGUAGES, PYTHON
from contracts.documents.todo_list import Role, TodoItem
from orchestrator.client.views import WorkflowView

if TYPE_CHECKING:
    from artifacts import GitArtifactStore

_SOURCE = "src"


async def delivered_tests(
    artifacts: GitArtifactStore, view: WorkflowView, commit: str | None
) -> tuple[str, ...]:
    """What runs the tests in a checkout of `commit`; () without one, or where it cannot be read."""
    try:
        return commands_for_tests(view, await artifacts.open_tree(commit)) if commit else ()
    except MultiAgentError:
        return ()


def commands_for_tests(view: WorkflowView, paths: Collection[str]) -> tuple[str, ...]:
    """The plan's test commands, each once, as a shell runs them in a checkout that holds `paths`."""
    planned = (task.item for task in view.tasks if task.item.agent_role == Role.TESTER and not task.cycle)
    words = (shlex.split(command) for item in planned for command in _planned(item, paths))
    return tuple(dict.fromkeys(_in_plain_checkout(argv, paths) for argv in words))


def _planned(item: TodoItem, paths: Collection[str]) -> Iterator[str]:
    if item.acceptance_criteria.tests:
        yield from (test.cmd for test in item.acceptance_criteria.tests)
        return
    if not item.output_artifacts:
        yield from (rule.command for rule in item.acceptance_criteria.validation_rules if rule.command)
    for language in LANGUAGES:
        own = [path for path in item.output_artifacts if language.is_test_file(path) and path in paths]
        if own:
            yield shlex.join([*language.commands[0], *own])


def _in_plain_checkout(argv: list[str], paths: Collection[str]) -> str:
    """A command that finds modules where the tester's session found them: in the root, then in `src`.

    A bare `pytest` looks in neither; what it adds to the path is the folder of the test file.
    """
    start = next((one for one in PYTHON.commands if tuple(argv[: len(one)]) == one), None)
    if start is None:
        return shlex.join(argv)
    place = f"PYTHONPATH={_SOURCE} " if any(path.startswith(f"{_SOURCE}/") for path in paths) else ""
    return place + shlex.join(["python3", "-m", "pytest", *argv[len(start) :]])
