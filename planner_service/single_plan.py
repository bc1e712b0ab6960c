"""The plan for a request whose size nobody knows yet: one agent does all of it. No model is asked."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from typing import Final

from contracts.base.paths import EVERYWHERE
from contracts.base.text import first_invisible, flowing
from contracts.documents.todo_list import AcceptanceCriteria, Role, TodoItem, TodoList, ValidationRule
from planner_service.request import check_request, todo_list_id

CHANGE: Final = "change"
CHECK: Final = "check"

_TITLE: Final = 70
_TASK: Final = "Do all of the request, with the tests that show it."
_AGENT_SECONDS: Final = 3_600
_CHECK_SECONDS: Final = 900
"""How long the agent may work, and what a check may take beside runs of all tests."""
_RUNS: Final = 4


def single_plan(request: str, *, test_command: Sequence[str] = (), test_seconds: float = 0.0) -> TodoList:
    """Plan one task that may write every file, and its check.

    test_command: what runs all tests of the repository, () for nothing; it may take `test_seconds` a run.
    Raises InvalidInput for a request that is not accepted.
    """
    request = check_request(request)
    rules = (ValidationRule(type="command", command=shlex.join(test_command)),) if test_command else ()
    change = TodoItem(
        task_id=CHANGE,
        title=_title(request),
        description=_TASK,
        agent_role=Role.CODER,
        output_artifacts=(EVERYWHERE,),
        timeout_seconds=_AGENT_SECONDS,
    )
    check = TodoItem(
        task_id=CHECK,
        title="Check the change: its tests, without it and with it, and all others",
        agent_role=Role.TESTER,
        dependencies=(CHANGE,),
        acceptance_criteria=AcceptanceCriteria(validation_rules=rules),
        timeout_seconds=max(_CHECK_SECONDS, int(_RUNS * test_seconds) + 1),
    )
    return TodoList(todo_list_id=todo_list_id(request), request=request, items=(change, check))


def _title(request: str) -> str:
    title = textwrap.shorten(flowing(request), _TITLE, placeholder=" ...")
    return "Do what is asked" if not title or first_invisible(title) else title
