"""The tester: writes the tests that a contract asks for, and runs them in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agents.roles.context import (
    as_files,
    assignment,
    bullets,
    check_code,
    files_section,
    find_contract,
    relevant_files,
)
from agents.roles.system_prompt import system_prompt
from agents.sdk.prompting import section
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.first_failure import base_tree, command_failure, session_failure
from agents.testing.harness_report import report_size
from agents.testing.pytest_commands import split_command
from agents.testing.sessions import SessionPlan, plan_session
from agents.testing.source import absent_tests
from agents.testing.stable_text import normalised_tail
from agents.testing.validation import command_run, merged_tree
from agents.testing.verdict import Session, read_session
from contracts.base.errors import (
    AgentFailure,
    ArtifactError,
    LimitExceeded,
    SandboxUnavailable,
    StoreUnavailable,
)
from contracts.base.languages import LANGUAGES, NODE, Language, steers_tests
from contracts.base.paths import covers
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.failure import TestFailure
from contracts.documents.reports import CodeArtifacts, CommandRun, TestCase, TestReport
from contracts.documents.todo_list import AcceptanceTest
from contracts.messages.payloads import TestSummary
from contracts.ports.sandbox import SandboxResult
from contracts.schema.registry import load_schema

_ROLE: Final = "tester"
_NOT_FOUND: Final = 127
_LIMITS: Final = frozenset({"timeout", "oom", "output_limit"})
_COMPARING_SECONDS: Final = 60.0
"""How long a look at the base may take of a task's time."""


@dataclass(slots=True)
class _Collected:
    """The results of the acceptance tests that ran so far."""

    results: list[TestCase] = field(default_factory=list)
    runs: list[CommandRun] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    backend: str = "unknown"
    isolation: str = "unknown"
    failed: AcceptanceTest | None = None
    failure: TestFailure | None = None
    """The first acceptance test that did not pass, and why."""

    def add(
        self, test: AcceptanceTest, run: CommandRun, failure: TestFailure | None, ended: SandboxResult
    ) -> None:
        """Add how an acceptance test ended."""
        self.runs.append(run)
        self.backend, self.isolation = ended.backend, ended.isolation.value
        if failure is not None and self.failure is None:
            self.failed, self.failure = test, failure


@agent(role=_ROLE)
class TesterAgent:
    """Writes test files and makes a TestReport, given the contract, the code and the acceptance tests.

    In the plan's own task (cycle 0) it asks the model for test files if the task may write any. In later
    cycles it only runs the existing tests. The task succeeds whether or not the tests pass: the verdict says
    "passed" or "failed". Raises SandboxUnavailable when the sandbox itself fails.
    """

    async def run(self, task: Task) -> AgentResult:
        files: dict[str, bytes | str | None] = {}
        if task.request.cycle == 0 and task.request.writable:
            files = as_files(await self.write_tests(task))
        report = await self.run_tests(task, merged_tree(task.files, files), written=files)
        passed = sum(case.outcome == "passed" for case in report.results)
        failed = sum(case.outcome in {"failed", "error"} for case in report.results)
        counts = f"{passed} passed, {failed} failed"
        return AgentResult(
            files=files,
            report=report,
            verdict="passed" if report.passed else "failed",
            summary=f"{counts}; {report.failure.sentence}" if report.failure else counts,
            tests=TestSummary(
                passed=passed,
                failed=failed,
                coverage_percent=report.coverage_percent,
                failure=report.failure,
            ),
            backend=report.backend,
        )

    async def write_tests(self, task: Task) -> CodeArtifacts:
        """Ask the model for the tests of the contract. Raises AgentFailure and what `Task.ask` raises."""
        schema = load_schema("code")
        contract = await find_contract(task)
        skeletons = contract.test_skeletons if contract else ()
        wanted = [f"{skeleton.name}: {skeleton.description}".rstrip(": ") for skeleton in skeletons]
        prompt = "\n".join(
            [
                await assignment(task),
                section("Tests the contract asks for", bullets(wanted)),
                files_section("Files so far", relevant_files(task)),
            ]
        )

        async def check(code: CodeArtifacts) -> None:
            needed = [path for path in task.item.output_artifacts if not path.endswith("/")]
            await check_code(task, code, needed=needed)
            names = [skeleton.name for skeleton in skeletons]
            texts = [change.content or "" for change in code.files]
            python = not any(change.path.endswith(NODE.suffixes) for change in code.files)
            size = sum(map(len, texts))
            if absent := await bounded_call(size, absent_tests, names, texts, python=python):
                raise AgentFailure("these tests are missing: " + ", ".join(absent), code="invalid_code")

        return await task.ask_document(
            CodeArtifacts, prompt, system=system_prompt("tester", schema), schema=schema, check=check
        )

    async def run_tests(
        self,
        task: Task,
        tree: Mapping[str, bytes] | None = None,
        *,
        written: Mapping[str, bytes | str | None] | None = None,
    ) -> TestReport:
        """Run the task's acceptance tests on `tree` (by default the task's tree) in the sandbox.

        `written` names the files of the tree that the tester has just written. Raises SandboxUnavailable.
        """
        files = _without_steering(task, task.files if tree is None else tree, written or {})
        collected = _Collected()
        for test in _acceptance_tests(task, files):
            await self._run_test(task, test, files, collected)
        outcomes = {case.outcome for case in collected.results}
        return TestReport(
            passed="passed" in outcomes and outcomes <= {"passed", "skipped"},
            results=tuple(collected.results[:10_000]),
            runs=tuple(collected.runs),
            coverage_percent=max(collected.coverage, default=None),
            backend=collected.backend,
            isolation=collected.isolation,
            failure=await self._compared(task, files, collected),
        )

    async def _compared(
        self, task: Task, files: Mapping[str, bytes], collected: _Collected
    ) -> TestFailure | None:
        """Return the first failure, which says whether the unchanged base fails in the same way."""
        test, failure = collected.failed, collected.failure
        if test is None or failure is None:
            return None
        if collected.runs[-1].verdict in _LIMITS:
            return failure  # once more would take as long again
        on_base = _Collected()
        try:
            async with asyncio.timeout(_COMPARING_SECONDS):
                tree = base_tree(failure, files, await task.first_files())
                if tree is not None:
                    await self._run_test(task, test, tree, on_base)
        except (AgentFailure, ArtifactError, SandboxUnavailable, StoreUnavailable, TimeoutError):
            return failure  # which is what there is to report
        return failure.model_copy(update={"on_base": on_base.failure == failure})

    async def _run_test(
        self, task: Task, test: AcceptanceTest, files: Mapping[str, bytes], collected: _Collected
    ) -> None:
        plan = await plan_session(split_command(test.cmd), files)
        if plan is None:
            await self._run_command(task, test, files, collected)
        else:
            await self._run_session(task, test, plan, files, collected)

    async def _run_command(
        self, task: Task, test: AcceptanceTest, files: Mapping[str, bytes], collected: _Collected
    ) -> None:
        argv = split_command(test.cmd)
        ended = await task.run_sandbox(argv, files=files, wall_seconds=test.timeout_seconds)
        for language in LANGUAGES:
            if argv[0] == language.program and ended.exit_code == _NOT_FOUND:
                raise _missing_program(language, ended)
        run = command_run(test.cmd, ended)
        outcome = "passed" if run.verdict == "ok" else "failed"
        message = "" if run.verdict == "ok" else f"{run.verdict}, exit code {run.exit_code}"
        collected.results.append(
            TestCase.model_validate({"test_id": run.cmd, "outcome": outcome, "message": message})
        )
        collected.add(test, run, command_failure(run, ended, files), ended)

    async def _run_session(
        self,
        task: Task,
        test: AcceptanceTest,
        plan: SessionPlan,
        files: Mapping[str, bytes],
        collected: _Collected,
    ) -> None:
        # Each run has its own sandbox, so nothing that wrote or ran the code before can affect it.
        ended = await task.run_sandbox(
            plan.argv,
            files={**files, **plan.files},
            read_only=plan.read_only,
            stdin=plan.stdin,
            wall_seconds=test.timeout_seconds,
        )
        session = await _judged(plan, ended)
        if session.missing:
            raise _missing_program(plan.language, ended)
        _add_session(collected, test, session, ended, files)


async def _judged(plan: SessionPlan, ended: SandboxResult) -> Session:
    size = report_size(ended.stdout)
    try:
        return await bounded_call(size, read_session, ended.stdout, plan.nonce, ended, plan.expectations)
    except LimitExceeded as error:
        return Session(problems=(f"the report of the tests {error}",))


def _missing_program(language: Language, ended: SandboxResult) -> SandboxUnavailable:
    return SandboxUnavailable(f"the sandbox {ended.backend} has no {language.name}: {language.how_to_get}")


def _add_session(
    collected: _Collected,
    test: AcceptanceTest,
    session: Session,
    ended: SandboxResult,
    files: Mapping[str, bytes],
) -> None:
    cmd = test.cmd[:300]
    collected.results += session.results
    collected.results += [
        TestCase(test_id=cmd, outcome="error", message=problem) for problem in session.problems
    ]
    if session.coverage_percent is not None:
        collected.coverage.append(session.coverage_percent)
    run = command_run(cmd, ended)
    if run.verdict == "ok" and not session.passed:
        run = run.model_copy(update={"verdict": "failed", "exit_code": 1})
    tail = normalised_tail(ended.stderr) if session.problems else ""
    run = run.model_copy(update={"output_tail": tail})
    collected.add(test, run, session_failure(cmd, session, ended, files), ended)


def _acceptance_tests(task: Task, files: Mapping[str, bytes]) -> tuple[AcceptanceTest, ...]:
    """Return the task's tests, else commands for its test files. Raises AgentFailure without any."""
    if task.item.acceptance_criteria.tests:
        return task.item.acceptance_criteria.tests
    patterns = (*task.item.output_artifacts, *task.request.writable)
    own = [path for path in sorted(files) if any(covers(pattern, path) for pattern in patterns)]
    commands = [
        AcceptanceTest(cmd=" ".join([*language.commands[0], *targets]))
        for language in LANGUAGES
        if (targets := [path for path in own if language.is_test_file(path)])
    ]
    if not commands:
        raise AgentFailure("there is nothing to run: no acceptance test, and no test file", code="no_tests")
    return tuple(commands)


def _without_steering(
    task: Task, tree: Mapping[str, bytes], written: Mapping[str, object]
) -> dict[str, bytes]:
    """Remove files that configure tests, unless a tester wrote them or they came with the base."""
    return {
        path: content
        for path, content in tree.items()
        if not steers_tests(path) or path in written or task.authors.get(path, _ROLE) == _ROLE
    }
