"""The tester: writes the tests that a contract asks for, and runs them in the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from agents.roles.checks.acceptance_runs import run_test
from agents.roles.checks.amending import amend, amends
from agents.roles.checks.change_check import check_change, judges_a_change
from agents.roles.checks.collected import Collected
from agents.roles.checks.flaky import AGAIN, without_chance
from agents.roles.checks.odd_before import run_compared
from agents.roles.context import (
    as_files,
    assignment,
    bullets,
    check_code,
    failed_before,
    files_section,
    find_contract,
    relevant_files,
)
from agents.roles.repository_work import works_in_steps
from agents.roles.system_prompt import role_prompt
from agents.roles.test_writing import write_tests_in_steps
from agents.sdk.changed_tree import ChangedTree
from agents.sdk.prompting import section
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.source import absent_tests
from agents.sdk.task import Task
from agents.testing.baseline.excused import excused, on_base
from agents.testing.first_failure import base_tree
from agents.testing.validation import merged_tree
from contracts.base.errors import AgentFailure, ArtifactError, SandboxUnavailable, StoreUnavailable
from contracts.base.languages import LANGUAGES, NODE, steers_tests
from contracts.base.paths import covers
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.baseline import Baseline
from contracts.documents.failure import TestFailure
from contracts.documents.reports import CodeArtifacts, TestReport
from contracts.documents.todo_list import AcceptanceTest
from contracts.messages.payloads import TestSummary
from contracts.schema.registry import load_schema

_ROLE: Final = "tester"
_LIMITS: Final = frozenset({"timeout", "oom", "output_limit"})
_COMPARING_SECONDS: Final = 60.0
"""How long a look at the base may take of a task's time."""


@agent(role=_ROLE)
class TesterAgent:
    """Writes test files and makes a TestReport, given the contract, the code and the acceptance tests.

    In the plan's own task (cycle 0) it asks the model for test files if the task may write any, in a
    repository in steps (agents.loop). In later cycles it only runs the existing tests. A task with neither
    files to write nor tests to run judges what the workflow has changed, without a model (change_check). The
    task succeeds whether or not the tests pass: the verdict says "passed" or "failed". Raises
    SandboxUnavailable when the sandbox itself fails.
    """

    async def run(self, task: Task) -> AgentResult:
        if amends(task):
            return await amend(task)
        if judges_a_change(task):
            return await check_change(task)
        files, shown = await self._written(task)
        report = await self.run_tests(task, merged_tree(task.files, files), written=files)
        passed = sum(case.outcome == "passed" for case in report.results)
        failed = sum(case.outcome in {"failed", "error"} for case in report.results)
        flaky = _forgiven(report)
        counts = f"{passed} passed, {failed} failed"
        if report.passed and failed > len(flaky):
            counts += ", all of which failed before this work" if not flaky else ", some before this work"
        if flaky:
            counts += f"; flaky: {', '.join(flaky)} {AGAIN}"
        if shown:
            counts += f"; {shown}"
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
                apart=sum(case.apart for case in report.results),
                flaky=flaky or None,
            ),
            backend=report.backend,
        )

    async def _written(self, task: Task) -> tuple[Mapping[str, bytes | str | None], str]:
        """The tests that the task has the tester write, and what they say without the work, in words."""
        if task.request.cycle or not task.request.writable:
            return {}, ""
        if works_in_steps(task):
            written = await write_tests_in_steps(task)
            return written.files, written.shown
        return as_files(await self.write_tests(task)), ""

    async def write_tests(self, task: Task) -> CodeArtifacts:
        """Ask the model for the tests of the contract. Raises AgentFailure and what `Task.ask` raises."""
        schema = load_schema("code")
        contract = await find_contract(task)
        skeletons = contract.test_skeletons if contract else ()
        wanted = [f"{skeleton.name}: {skeleton.description}".rstrip(": ") for skeleton in skeletons]
        prompt = "\n".join(
            [
                await assignment(task),
                *await failed_before(task),
                section("Tests the contract asks for", bullets(wanted)),
                files_section("Files so far", task, await relevant_files(task)),
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
            CodeArtifacts, prompt, system=role_prompt(task, "tester", schema), schema=schema, check=check
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
        baseline, start = await task.baseline(), await task.first_files()
        before = excused(baseline, task.request, files, start if baseline else {})
        commands = _acceptance_tests(task, files)
        collected = await run_compared(task, commands, files, start, before)
        collected = await without_chance(task, commands, files, collected, start)
        outcomes = {case.outcome for case in collected.results if case.test_id not in collected.excused}
        return TestReport(
            passed="passed" in outcomes and outcomes <= {"passed", "skipped"},
            results=tuple(collected.results[:10_000]),
            runs=tuple(collected.runs),
            coverage_percent=max(collected.coverage, default=None),
            backend=collected.backend,
            isolation=collected.isolation,
            failure=await self._compared(task, files, collected, baseline),
        )

    async def _compared(
        self, task: Task, files: Mapping[str, bytes], collected: Collected, baseline: Baseline | None
    ) -> TestFailure | None:
        """Return the first failure, which says whether the unchanged base fails in the same way."""
        test, failure = collected.failed, collected.failure
        if test is None or failure is None:
            return None
        if collected.runs[-1].verdict in _LIMITS:
            return failure  # once more would take as long again
        there = Collected()
        try:
            async with asyncio.timeout(_COMPARING_SECONDS):
                tree = base_tree(failure, files, await task.first_files())
                if tree is not None and (known := on_base(failure, baseline)) is not None:
                    return failure.model_copy(update={"on_base": known})
                if tree is not None:
                    await run_test(task, test, tree, there, apart=False)
        except (AgentFailure, ArtifactError, SandboxUnavailable, StoreUnavailable, TimeoutError):
            return failure  # which is what there is to report
        return failure.model_copy(update={"on_base": there.failure == failure})


def _forgiven(report: TestReport) -> tuple[str, ...]:
    """The flaky tests of a report that passed in spite of them."""
    flaky = (case.test_id for case in report.results if case.flaky and report.passed)
    return tuple(flaky)


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


def _without_steering(task: Task, tree: Mapping[str, bytes], written: Mapping[str, object]) -> ChangedTree:
    """Remove files that configure tests, unless a tester wrote them or they came with the base."""
    removed = (
        path
        for path in tree
        if steers_tests(path) and path not in written and task.authors.get(path, _ROLE) != _ROLE
    )
    return ChangedTree(tree, dict.fromkeys(removed))
