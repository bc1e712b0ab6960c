"""Which sections a prompt has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.roles.context import assignment
from agents.roles.system_prompt import role_prompt
from contracts.documents.todo_list import AcceptanceCriteria, AcceptanceTest
from tests.agents.support import TaskMaker

COMMANDS = "Commands that must succeed in the end"


@pytest.mark.parametrize(("commands", "shown"), [((), False), (("pytest tests/test_a.py",), True)])
async def test_commands_stand_there_where_there_are_some(commands: tuple[str, ...], shown: bool) -> None:
    tests = tuple(AcceptanceTest(cmd=command) for command in commands)
    task = TaskMaker()(writable=["a.py"], acceptance_criteria=AcceptanceCriteria(tests=tests))
    prompt = await assignment(task)
    assert (COMMANDS in prompt) is shown
    assert all(f"- {command}" in prompt for command in commands)


@pytest.mark.parametrize(
    ("base_commit", "told", "not_told"),
    [
        (None, "Use the standard library only", "Use what the repository uses"),
        ("c" * 40, "Use what the repository uses", "Use the standard library only"),
    ],
)
def test_rules_are_true_where_the_task_is(base_commit: str | None, told: str, not_told: str) -> None:
    task = TaskMaker()(writable=["a.py"])
    request = task.request.model_copy(update={"base_commit": base_commit})
    prompt = role_prompt(replace(task, request=request), "tester", {"type": "object"})
    assert told in prompt
    assert not_told not in prompt
    assert prompt.startswith("You are a tester.")
    assert prompt.endswith('The JSON Schema:\n\n```json\n{\n "type": "object"\n}\n```\n')


@pytest.mark.parametrize(
    ("base_commit", "title", "shown"),
    [
        ("c" * 40, "Create a moving ...", False),
        ("c" * 40, "Create a moving average", False),
        ("c" * 40, "Write its tests", True),
        (None, "Create a moving ...", True),
    ],
)
async def test_a_title_that_says_the_request_again_is_left_out(
    base_commit: str | None, title: str, shown: bool
) -> None:
    task = TaskMaker()(writable=["a.py"], title=title, description="Do all of it.")
    request = task.request.model_copy(update={"base_commit": base_commit})
    prompt = await assignment(replace(task, request=request))
    said = f"{title}\n\n" if shown else ""
    assert f"## Your task\n\n{said}Do all of it.\n" in prompt
