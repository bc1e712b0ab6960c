"""What follows when an agent in steps asks for something else than its own work."""

from __future__ import annotations

import re

from agents.loop.step import BlameEnvironment, Contest, NeedsPlan
from agents.roles.earlier_reports import failed_before_fix
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.tools.tool import ToolRefused
from contracts.base.errors import AgentFailure
from contracts.base.model import Model
from contracts.documents.test_ids import command_of, named_test
from contracts.messages.payloads import Contested, PlanWanted


def contestable(task: Task) -> tuple[str, ...]:
    """The ids of tests that the task may contest: those that failed in the report that it is to fix."""
    return tuple(
        test
        for test in failed_before_fix(task)
        if command_of(test) is not None and named_test(test).path in task.files
    )


def check_asked(task: Task, asked: Model) -> None:
    """Raise ToolRefused for what cannot be asked for, with what can."""
    if isinstance(asked, Contest):
        able = contestable(task)
        if unknown := [test for test in asked.tests if test not in able]:
            raise ToolRefused(
                f"{unknown[0]!r} is no id of a test that failed; these are: {', '.join(able[:20]) or 'none'}"
            )


async def asked_result(task: Task, asked: Model) -> AgentResult:
    """Return what the task reports for what `check_asked` accepts.

    Raises AgentFailure where nobody but a person can do something, and what reading the base does.
    """
    if isinstance(asked, NeedsPlan):
        wanted = PlanWanted(reason=asked.reason, found=asked.found)
        return AgentResult(plan_wanted=wanted, summary=f"needs a plan: {wanted.reason}")
    if isinstance(asked, Contest):
        contested = await _contested(task, asked)
        named = ", ".join(contested.tests)
        return AgentResult(contested=contested, summary=f"contests {named}: {contested.reason}")
    assert isinstance(asked, BlameEnvironment)
    message = f"the environment is at fault: {asked.reason}"
    raise AgentFailure(message, code="environment", retryable=False)


async def _contested(task: Task, asked: Contest) -> Contested:
    start = await task.first_files()
    old = any(_was_there(start.get(named_test(test).path), test) for test in asked.tests)
    return Contested(tests=asked.tests, reason=asked.reason, of_repository=old)


def _was_there(source: bytes | None, test: str) -> bool:
    """Whether the file was there before the workflow, and named a function so."""
    name = named_test(test).names[-1]
    text = "" if source is None else source.decode("utf-8", "replace")
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
