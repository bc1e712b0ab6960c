"""Contested tests: a fix may have tests looked at again, once a test and twice a workflow."""

from __future__ import annotations

import itertools
import shlex
from typing import Final

from contracts.base.errors import MultiAgentError
from contracts.base.refs import amendment_name, is_amendment
from contracts.documents.test_ids import command_of, named_test
from contracts.documents.todo_list import AcceptanceCriteria, AcceptanceTest, Role, TodoItem
from contracts.messages.payloads import Contested
from orchestrator.core.cycles import origin_of, rewired
from orchestrator.core.state import TaskState, TaskStatus, Workflow

MOST = 2
"""Amendments of a workflow."""
_TEST_SECONDS: Final = 300
_TEST_RUNS: Final = 4
"""Of each contested test, on the base: as it was, and as each of three answers has it."""
_MOST_SECONDS: Final = 86_400
"""Of a TodoItem."""


class Disputed(MultiAgentError):
    """Two agents disagree about a test, and neither is asked again; the message has both reasons."""


class ContestRefused(MultiAgentError):
    """Something is contested that cannot be; the message says what."""


def amendment(workflow: Workflow, fix: TaskState, contested: Contested) -> list[TaskState]:
    """The task that looks at the tests again, and new versions of what waits for the fix.

    Tests that were there before the workflow are changed only when a person approves. Raises ContestRefused,
    Disputed.
    """
    before = _amendments(workflow)
    known = {name for task in before for name in _tests_of(task)}
    judge = workflow.tasks.get(fix.item.dependencies[0]) if fix.item.dependencies else None
    if fix.item.agent_role != Role.DEBUGGER or judge is None or judge.item.agent_role != Role.TESTER:
        raise ContestRefused(
            f"only a fix of what tests found contests tests; {fix.task_id} says: {contested.reason}"
        )
    tests = tuple(_acceptance(test) for test in contested.tests)
    if len(before) >= MOST or known.intersection(contested.tests):
        said = "; ".join(f"{task.task_id}: {task.summary}" for task in before)
        raise Disputed(f"disputed: {fix.task_id} {_says(fix, contested)}; looked at already by {said}")
    origin = origin_of(judge)
    number = len(before) + 1
    name = next(
        one
        for one in (amendment_name(origin, count) for count in itertools.count(number))
        if one not in workflow.tasks
    )
    running = len(tests) * _TEST_RUNS * _TEST_SECONDS
    item = TodoItem(
        task_id=name,
        title=f"Look again at tests that {fix.task_id} contests ({number} of {MOST})",
        description=contested.reason,
        agent_role=Role.TESTER,
        dependencies=(fix.task_id,),
        input_artifacts=judge.item.input_artifacts,
        output_artifacts=tuple(dict.fromkeys(named_test(test).path for test in contested.tests)),
        acceptance_criteria=AcceptanceCriteria(tests=tests),
        max_retries=judge.item.max_retries,
        timeout_seconds=min(judge.item.timeout_seconds + running, _MOST_SECONDS),
        requires_approval=contested.of_repository,
        priority=judge.item.priority,
        max_cycles=0,
    )
    status = TaskStatus.APPROVAL if contested.of_repository else TaskStatus.READY
    added = TaskState(item, item.dependencies, status, cycle=fix.cycle)
    return [added, *rewired(workflow, fix.task_id, (name,))]


def dispute(workflow: Workflow, judge: TaskState) -> str:
    """What was said for and against the test that still fails; "" where nobody contested it."""
    failed = judge.tests.failure.test if judge.tests and judge.tests.failure else ""
    for task in _amendments(workflow):
        if failed in _tests_of(task):
            fix = workflow.tasks[task.item.dependencies[0]]
            return f"disputed: {fix.task_id} {fix.summary}; {task.task_id}: {task.summary}"
    return ""


def _amendments(workflow: Workflow) -> list[TaskState]:
    return [task for task in workflow.tasks.values() if task.cycle and is_amendment(task.task_id)]


def _tests_of(task: TaskState) -> list[str]:
    return [shlex.split(test.cmd)[-1] for test in task.item.acceptance_criteria.tests]


def _acceptance(test: str) -> AcceptanceTest:
    if (command := command_of(test)) is None:
        raise ContestRefused(f"{test!r} is no id of a test that can be run alone")
    return AcceptanceTest(cmd=command, timeout_seconds=_TEST_SECONDS)


def _says(fix: TaskState, contested: Contested) -> str:
    return fix.summary or f"contests {', '.join(contested.tests)}: {contested.reason}"
