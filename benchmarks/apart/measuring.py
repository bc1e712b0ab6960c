"""Runs tests as a tester does, and finds out why those that did not run apart from their code did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree, read_base
from agents.sdk.changed_tree import ChangedTree
from agents.sdk.exchange_log import ExchangeLog, ExchangeScope
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.sdk.workplace import Workplace
from agents.testing.apart import APART_SECONDS
from agents.testing.harness_report import Report, unpacked
from agents.testing.pytest_commands import split_command
from agents.testing.sessions import plan_session
from agents.testing.verdict import read_session
from contracts.documents.reports import TestReport
from contracts.documents.todo_list import TodoItem
from contracts.messages.payloads import TaskRequest
from contracts.ports.workspace import NO_ENVIRONMENT, Environment
from multi_agent.application.bases import find_base
from multi_agent.bootstrap import make_artifacts, make_environments, open_workspaces
from multi_agent.settings import Settings

_SECONDS: Final = 60
_CREATED_AT: Final = 1_750_000_000
_INSIDE: Final = "its source reaches into the process of the code"


@dataclass(slots=True)
class Measured:
    """What became of one bug's tests."""

    name: str
    passed: int = 0
    """Of the mended code's tests; those of a run that was not believed are not counted."""
    apart: int = 0
    refused: str = ""
    """Why the mended code did not pass, "" where it did."""
    believed: bool = False
    """Whether the code with the bug passed."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why tests that passed did not do so apart -> how many."""

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Judge:
    """Judges the trees of one repository, in its environment and the sandbox."""

    def __init__(self, artifacts: Any, workplace: Workplace, start: str) -> None:
        self._artifacts, self._workplace, self._start = artifacts, workplace, start

    async def measure(self, name: str, mended: str, files: Sequence[str]) -> Measured:
        """Run files with tests on the mended commit, and on the first one, which has the bug."""
        found = Measured(name)
        command = f"pytest {' '.join(files)}"
        right = await self._run(mended, command)
        found.refused = "" if right.verdict == "passed" else right.summary
        assert isinstance(right.report, TestReport)
        passed = [case for case in right.report.results if case.outcome == "passed"]
        found.passed, found.apart = len(passed), sum(case.apart for case in passed)
        if found.apart < found.passed:
            together = [case.test_id for case in passed if not case.apart]
            found.reasons = dict(Counter(await self._reasons(mended, command, together)).most_common())
        return found

    async def believes(self, files: Sequence[str]) -> bool:
        """Whether they pass on the first commit, which has the bug."""
        return (await self._run(self._start, f"pytest {' '.join(files)}")).verdict == "passed"

    async def _task(self, commit: str, command: str) -> Task:
        criteria = {"tests": [{"cmd": command, "timeout_seconds": _SECONDS}]}
        fields = {"task_id": "t1", "title": "t1", "agent_role": "tester", "acceptance_criteria": criteria}
        request = TaskRequest(
            dispatch_id="d1",
            reply_to="agent.results.0",
            attempt=1,
            cycle=1,
            created_at=_CREATED_AT,
            request="Judge it",
            item=TodoItem.model_validate(fields),
            parents=(commit,),
            writable=(),
            base_commit=self._start,
        )
        base = await read_base("w1", request, self._artifacts)
        log: Any = ExchangeLog(ExchangeScope("w1", "t1", 1), NotImplemented, NotImplemented)
        return Task(request, "w1", log, NotImplemented, base, self._artifacts, None, self._workplace)

    async def _run(self, commit: str, command: str) -> AgentResult:
        return await TesterAgent().run(await self._task(commit, command))

    async def _reasons(self, commit: str, command: str, together: Sequence[str]) -> list[str]:
        """Why each of these tests did not pass apart, from a session of theirs alone."""
        task = await self._task(commit, command)
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
        session = read_session(ended.stdout, alone.nonce, ended, alone.expectations)
        try:
            events = [
                event
                for run in Report.model_validate_json(unpacked(ended.stdout)).runs
                for event in run.events
            ]
        except ValueError:
            return [str(session.problems)] * len(together)
        unfit = {event.id: event.message for event in events if event.kind == "unfit"}
        failed = {
            case.test_id: f"fails apart: {case.message}"
            for case in session.results
            if case.outcome != "passed"
        }
        collected = {case.test_id for case in session.results}
        return [_reason(test, unfit, failed, collected, session.problems) for test in together]


def _reason(
    test: str,
    unfit: Mapping[str, str],
    failed: Mapping[str, str],
    collected: set[str],
    problems: Sequence[str],
) -> str:
    path = test.partition("::")[0]
    if test in unfit:
        return unfit[test]
    if test in failed:
        return failed[test]
    if path in unfit or "" in unfit:
        return unfit.get(path) or unfit[""]
    if test not in collected and not any(one.startswith(path) for one in collected):
        return f"{_INSIDE}, or not loaded: {problems} {unfit} {list(failed.items())[:2]}"
    return f"problems: {problems}"


@asynccontextmanager
async def judge(tree: Path, folder: Path, seconds: int) -> AsyncIterator[tuple[Judge, str]]:
    """A judge of a repository whose HEAD has the bug fixed and HEAD^ not, and the commit of HEAD."""
    settings = Settings(
        data_dir=folder / "data",
        environment_seconds=seconds,
        sandbox="bubblewrap",
        environment_cache_mb=20_000,
    )
    artifacts = make_artifacts(settings)
    try:
        workspaces = open_workspaces(settings, artifacts)
        try:
            await find_base(tree, lambda _: None)
            from benchmarks.fixes.judging import git

            mended = await artifacts.import_base(tree)
            git("checkout", "-q", "HEAD^", at=tree)
            start = await artifacts.import_base(tree)
            environments = make_environments(settings, artifacts, workspaces)

            @asynccontextmanager
            async def prepare() -> AsyncIterator[Environment]:
                async with environments.prepare(start, print) as prepared:
                    yield prepared.environment if prepared else NO_ENVIRONMENT

            async with Workplace(workspaces, artifacts, prepare=prepare) as workplace:
                yield Judge(artifacts, workplace, start), mended
        finally:
            await workspaces.close()
    finally:
        await artifacts.close()
