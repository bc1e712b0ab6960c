"""What follows when an agent in steps asks for something else than its own work."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from agents.loop.ends import BlameEnvironment, Contest, NeedsPlan
from agents.roles.checks.acceptance_runs import run_test
from agents.roles.checks.collected import Collected
from agents.roles.context import belongs_to_tester
from agents.roles.earlier_reports import failed_before_fix
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.validation import merged_tree
from agents.tools.tool import ToolRefused
from contracts.base.errors import AgentFailure
from contracts.base.model import Model
from contracts.documents.reports import TestReport
from contracts.documents.test_ids import command_of, named_test
from contracts.documents.todo_list import AcceptanceTest, Role
from contracts.messages.payloads import Contested, PlanWanted

_NAMED: Final = 10
_BAD: Final = frozenset({"failed", "error"})


@dataclass(frozen=True, slots=True)
class Changed:
    """What an agent has changed."""

    files: Mapping[str, bytes | str | None]
    left_out: tuple[str, ...] = ()
    """Paths that it may not write, or that no outcome holds."""

    @property
    def note(self) -> str:
        """What is said of that behind a summary; "" for nothing."""
        if not self.left_out:
            return ""
        more = f" and {len(self.left_out) - _NAMED} more" if len(self.left_out) > _NAMED else ""
        return f" (left out, as they may not be written: {', '.join(self.left_out[:_NAMED])}{more})"


def contestable(task: Task) -> tuple[str, ...]:
    """The ids of tests that a fix may contest: those that failed in the report that it is to mend."""
    return tuple(
        test
        for test in failed_before_fix(task)
        if command_of(test) is not None and named_test(test).path in task.files
    )


@dataclass(slots=True)
class AskedEnds:
    """The ends of one agent's loop that ask for something."""

    task: Task
    changes: Callable[[], Awaitable[Changed]]
    """What the agent has changed so far."""
    _observed: TestReport | None = None
    """What contested tests said of that."""

    async def check(self, asked: Model) -> None:
        """Raise ToolRefused for what cannot be asked for, with what can."""
        if not isinstance(asked, Contest):
            return
        if self.task.item.agent_role == Role.CODER:
            await self._check_fails(asked)
            return
        able = contestable(self.task)
        if unknown := [test for test in asked.tests if test not in able]:
            raise ToolRefused(
                f"{unknown[0]!r} is no id of a test that failed; these are: {', '.join(able[:20]) or 'none'}"
            )

    async def result(self, asked: Model) -> AgentResult:
        """Return what the task reports for what `check` accepts.

        Raises AgentFailure where nobody but a person can do something, and what reading the base does.
        """
        if isinstance(asked, NeedsPlan):
            wanted = PlanWanted(reason=asked.reason, found=asked.found)
            return AgentResult(plan_wanted=wanted, summary=f"needs a plan: {wanted.reason}")
        if isinstance(asked, Contest):
            return await self._contest(asked)
        assert isinstance(asked, BlameEnvironment)
        message = f"the environment is at fault: {asked.reason}"
        raise AgentFailure(message, code="environment", retryable=False)

    async def _contest(self, asked: Contest) -> AgentResult:
        """A fix contests instead of a change; a coder's work is kept, with what the tests said of it."""
        contested = await _contested(self.task, asked)
        summary = f"contests {', '.join(contested.tests)}: {contested.reason}"
        if self.task.item.agent_role != Role.CODER:
            return AgentResult(contested=contested, summary=summary)
        files = (await self.changes()).files
        return AgentResult(files=files, contested=contested, summary=summary, report=self._observed)

    async def _check_fails(self, asked: Contest) -> None:
        """Raise ToolRefused for tests that are the agent's own, or that its work passes."""
        task, commands = self.task, []
        for test in asked.tests:
            path, command = named_test(test).path, command_of(test)
            if command is None or path not in task.files:
                raise ToolRefused(f"{test!r} is no id of a test that is there; write it as path::name")
            if not belongs_to_tester(task, path) and task.refusal(path) is None:
                raise ToolRefused(f"{path} is a file that you may write: correct the test yourself")
            commands.append(AcceptanceTest(cmd=command))
        files, seen = merged_tree(task.files, (await self.changes()).files), Collected()
        for one in commands:
            await run_test(task, one, files, seen)
        bad = [case.test_id for case in seen.results if case.outcome in _BAD]
        for test in asked.tests:
            if not any(failed == test or failed.startswith(f"{test}[") for failed in bad):
                raise ToolRefused(f"{test} does not fail with your changes: there is nothing to contest")
        self._observed = TestReport(
            passed=False,
            results=tuple(seen.results),
            runs=tuple(seen.runs),
            backend=seen.backend,
            isolation=seen.isolation,
            failure=seen.failure,
        )


async def _contested(task: Task, asked: Contest) -> Contested:
    start = await task.first_files()
    old = any(_was_there(start.get(named_test(test).path), test) for test in asked.tests)
    return Contested(tests=asked.tests, reason=asked.reason, of_repository=old)


def _was_there(source: bytes | None, test: str) -> bool:
    """Whether the file was there before the workflow, and named a function so."""
    name = named_test(test).names[-1]
    text = "" if source is None else source.decode("utf-8", "replace")
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
