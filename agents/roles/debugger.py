"""The debugger: corrects code after a failing test report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.roles.context import as_files, assignment, bullets, check_code, files_section, relevant_files
from agents.roles.system_prompt import system_prompt
from agents.sdk.prompting import section
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.base.errors import AgentFailure, InvalidDocument
from contracts.base.languages import serves_tests
from contracts.base.strict_json import to_json, validate
from contracts.documents.reports import CodeArtifacts, TestReport
from contracts.schema.registry import load_schema


@agent(role="debugger")
class DebuggerAgent:
    """Corrects code, given a dependency's failing TestReport, the contract, the code and the tests.

    It may change the paths that the request lists as writable. These are files under test, never the tests.
    """

    async def run(self, task: Task) -> AgentResult:
        code = await self.fix_code(task)
        return AgentResult(files=as_files(code), summary=code.summary)

    async def fix_code(self, task: Task) -> CodeArtifacts:
        """Ask the model for corrected files.

        Raises AgentFailure, also when there is no failing report, and what `Task.ask` raises.
        """
        schema = load_schema("code")
        failures = _failures(failing_report(task))
        tests = [(path, task.files[path]) for path in sorted(task.files) if serves_tests(path)]
        code = [(path, content) for path, content in relevant_files(task) if not serves_tests(path)]
        prompt = "\n".join(
            [
                await assignment(task),
                section("What failed", failures),
                files_section("The code", code),
                files_section("The tests, which stay as they are", tests),
            ]
        )
        return await task.ask_document(
            CodeArtifacts,
            prompt,
            system=system_prompt("debugger", schema),
            schema=schema,
            check=lambda answer: check_code(task, answer),
        )


def failing_report(task: Task) -> TestReport:
    """Find the failing report of a dependency, else of the last other task with one. Raises AgentFailure."""
    dependencies = [task_id for task_id in task.item.dependencies if task_id in task.reports]
    others = sorted((task_id for task_id in task.reports if task_id not in dependencies), reverse=True)
    for task_id in (*dependencies, *others):
        report = _as_test_report(task.reports[task_id])
        if report is not None and not report.passed:
            return report
    raise AgentFailure(
        "there is no failing test report to work from; the debugger must depend on a test task",
        code="no_report",
        retryable=False,
    )


def _as_test_report(report: Mapping[str, Any]) -> TestReport | None:
    try:
        return validate(TestReport, to_json(dict(report), "test"), "test")
    except InvalidDocument:
        return None


def _failures(report: TestReport) -> str:
    cases = [case for case in report.results if case.outcome in {"failed", "error"}]
    lines = [f"{case.test_id} ({case.outcome}): {case.message}" for case in cases[:50]]
    if len(cases) > len(lines):
        lines.append(f"and {len(cases) - len(lines)} more")
    tails = [f"{run.cmd} printed at its end:\n{run.output_tail}" for run in report.runs if run.output_tail]
    return "\n\n".join([bullets(lines), *tails])
