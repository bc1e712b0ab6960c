"""Runs tests as a tester does, and finds out why those that did not run apart from their code did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import read_base
from agents.sdk.changed_tree import ChangedTree
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.sdk.task import Task
from agents.sdk.workplace import Workplace
from agents.testing.apart.choosing import APART_SECONDS
from agents.testing.harness_report import Report, unpacked
from agents.testing.pytest_commands import split_command
from agents.testing.sessions import plan_session
from benchmarks.apart.bugs import Bugs
from benchmarks.fixes.judging import Place, git
from contracts.base.printing import print_line
from contracts.documents.reports import TestReport
from contracts.documents.todo_list import TodoItem
from contracts.messages.payloads import TaskRequest
from contracts.ports.workspace import NO_ENVIRONMENT, Environment
from multi_agent.application.bases import find_base
from multi_agent.bootstrap import make_artifacts, make_environments, open_workspaces

_CREATED_AT: Final = 1_750_000_000
_INSIDE: Final = "its source reaches into the process of the code, or it fails apart"


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the tests of one bug."""

    name: str
    passed: int
    """Tests of the mended code that passed."""
    apart: int
    """Those among them that did so apart."""
    refused: str
    """Why the mended code was not believed, "" where it was."""
    believed: bool
    """Whether the code with the bug was."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why the others did not -> how many."""


class Judge:
    """Judges commits of one repository, in its environment and a sandbox."""

    def __init__(self, artifacts: Any, workplace: Workplace, bug: str, mended: str, seconds: int) -> None:
        """`bug`, `mended`: commits. A run of tests may take so many seconds."""
        self._artifacts, self._workplace, self._seconds = artifacts, workplace, seconds
        self._bug, self._mended = bug, mended

    async def measure(self, name: str, files: Sequence[str]) -> Measured:
        """Run files with tests on both commits."""
        command = " ".join(["pytest", *files])
        task = await self._task(self._mended, command)
        right = await TesterAgent().run(task)
        assert isinstance(right.report, TestReport)
        passed = [case for case in right.report.results if case.outcome == "passed"]
        together = [case.test_id for case in passed if not case.apart]
        reasons = Counter(await self._reasons(task, command, together)) if together else Counter[str]()
        wrong = await TesterAgent().run(await self._task(self._bug, command))
        refused = "" if right.verdict == "passed" else right.summary
        apart, believed = len(passed) - len(together), wrong.verdict == "passed"
        return Measured(name, len(passed), apart, refused, believed, dict(reasons.most_common()))

    async def _task(self, commit: str, command: str) -> Task:
        criteria = {"tests": [{"cmd": command, "timeout_seconds": self._seconds}]}
        item = {"task_id": "t1", "title": "t1", "agent_role": "tester", "acceptance_criteria": criteria}
        request = TaskRequest(
            dispatch_id="d1",
            reply_to="agent.results.0",
            attempt=1,
            cycle=1,
            created_at=_CREATED_AT,
            request="Judge it",
            item=TodoItem.model_validate(item),
            parents=(commit,),
            base_commit=self._bug,
        )
        base = await read_base("w1", request, self._artifacts)
        nothing: Any = None
        log = ExchangeLog(ExchangeScope("w1", "t1", 1), nothing, nothing)
        return Task(request, "w1", log, nothing, base, self._artifacts, workplace=self._workplace)

    async def _reasons(self, task: Task, command: str, together: Sequence[str]) -> list[str]:
        """Why each of these tests did not pass apart, from one more session of those that may."""
        plugins = await task.environment() != NO_ENVIRONMENT
        plan = await plan_session(split_command(command), task.files, plugins=plugins)
        if plan is None or plan.apart is None:
            return [_INSIDE] * len(together)
        alone = plan.apart.plan
        ended = await task.run_sandbox(
            alone.argv,
            files=ChangedTree(task.files, alone.files),
            read_only=alone.read_only,
            stdin=alone.stdin,
            wall_seconds=APART_SECONDS,
        )
        if not ended.stdout:
            return [f"the session apart left no report: {ended.verdict}"] * len(together)
        runs = Report.model_validate_json(unpacked(ended.stdout)).runs
        unfit = {one.id: one.message for run in runs for one in run.events if one.kind == "unfit"}
        return [unfit.get(test) or unfit.get(test.partition("::")[0]) or _INSIDE for test in together]


@asynccontextmanager
async def judge(bugs: Bugs, place: Place) -> AsyncIterator[Judge]:
    """A judge of both commits. Raises MultiAgentError."""
    settings = place.settings
    artifacts = make_artifacts(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(artifacts.close)
        workspaces = open_workspaces(settings, artifacts)
        stack.push_async_callback(workspaces.close)
        await find_base(settings, bugs.tree, print_line)
        mended = await artifacts.import_base(bugs.tree)
        git("checkout", "-q", "HEAD^", at=bugs.tree)
        bug = await artifacts.import_base(bugs.tree)
        git("checkout", "-q", "main", at=bugs.tree)
        environments = make_environments(settings, artifacts, workspaces)

        @asynccontextmanager
        async def prepare() -> AsyncIterator[Environment]:
            async with environments.prepare(bug, print_line) as prepared:
                yield prepared.environment if prepared else NO_ENVIRONMENT

        workplace = await stack.enter_async_context(Workplace(workspaces, artifacts, prepare=prepare))
        yield Judge(artifacts, workplace, bug, mended, place.test_seconds)
