"""Contested tests: an agent may have tests looked at again, once a test and twice a workflow."""

from __future__ import annotations

import itertools
import shlex
from typing import Final

from contracts.base.errors import MultiAgentError
from contracts.base.refs import amended_name, amendment_name, is_amendment
from contracts.documents.test_ids import command_of, named_test
from contracts.documents.todo_list import AcceptanceCriteria, AcceptanceTest, Role, TodoItem
from contracts.messages.payloads import Contested
from orchestrator.core.approvals.actions import first_status
from orchestrator.core.cycles import origin_of, rewired
from orchestrator.core.state import TaskState, Workflow

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


def amendment(workflow: Workflow, asking: TaskState, contested: Contested) -> list[TaskState]:
    """The task that looks at the tests again, and new versions of what waits for the task that asks.

    A fix is followed by its retest; what a coder contests runs again in a task of its own. Tests that were
    there before the workflow are changed only when a person approves. Raises ContestRefused, Disputed.
    """
    before = _amendments(workflow)
    known = {name for task in before for name in _tests_of(task)}
    like = _like(workflow, asking, contested)
    tests = tuple(_acceptance(test) for test in contested.tests)
    if len(before) >= MOST or known.intersection(contested.tests):
        said = "; ".join(f"{task.task_id}: {task.summary}" for task in before)
        raise Disputed(f"disputed: {asking.task_id} {_says(asking, contested)}; looked at already by {said}")
    number = len(before) + 1
    name = _free_name(workflow, origin_of(like), number)
    item = TodoItem(
        task_id=name,
        title=f"Look again at tests that {asking.task_id} contests ({number} of {MOST})",
        description=contested.reason,
        agent_role=Role.TESTER,
        dependencies=(asking.task_id,),
        input_artifacts=like.item.input_artifacts,
        output_artifacts=tuple(dict.fromkeys(named_test(test).path for test in contested.tests)),
        acceptance_criteria=AcceptanceCriteria(tests=tests),
        max_retries=like.item.max_retries,
        timeout_seconds=_seconds(like, len(tests) * _TEST_RUNS),
        requires_approval=contested.of_repository,
        priority=like.item.priority,
        max_cycles=0,
    )
    status = first_status(workflow.header, item)
    cycle = max(asking.cycle, 1)  # neither is a task of the plan
    added = [TaskState(item, item.dependencies, status, cycle=cycle)]
    if asking.item.agent_role == Role.CODER:
        again = _retest(asking, item)
        added.append(TaskState(again, again.dependencies, cycle=cycle))
    return [*added, *rewired(workflow, asking.task_id, (added[-1].task_id,))]


def _like(workflow: Workflow, asking: TaskState, contested: Contested) -> TaskState:
    """The task whose inputs, retries, time and priority an amendment has. Raises ContestRefused."""
    item = asking.item
    if item.agent_role == Role.CODER and workflow.header.base_commit is not None:
        return asking
    judge = workflow.tasks.get(item.dependencies[0]) if item.dependencies else None
    if item.agent_role != Role.DEBUGGER or judge is None or judge.item.agent_role != Role.TESTER:
        raise ContestRefused(
            f"only a coder in a repository, or a fix of what tests found, contests tests; {asking.task_id} "
            f"says: {contested.reason}"
        )
    return judge


def _retest(coder: TaskState, amending: TodoItem) -> TodoItem:
    """Runs what a coder contested again, once it was looked at."""
    return TodoItem(
        task_id=amended_name(amending.task_id),
        title=f"Run the tests that {coder.task_id} contested",
        agent_role=Role.TESTER,
        dependencies=(amending.task_id,),
        input_artifacts=amending.input_artifacts,
        acceptance_criteria=amending.acceptance_criteria,
        max_retries=amending.max_retries,
        timeout_seconds=_seconds(coder, len(amending.acceptance_criteria.tests)),
        priority=amending.priority,
    )


def _seconds(like: TaskState, runs: int) -> int:
    return min(like.item.timeout_seconds + runs * _TEST_SECONDS, _MOST_SECONDS)


def _free_name(workflow: Workflow, origin: str, number: int) -> str:
    names = (amendment_name(origin, count) for count in itertools.count(number))
    return next(one for one in names if not workflow.tasks.keys() & {one, amended_name(one)})


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


def _says(asking: TaskState, contested: Contested) -> str:
    return asking.summary or f"contests {', '.join(contested.tests)}: {contested.reason}"
