"""The reviewer: reads the files and reports what is wrong with them."""

from __future__ import annotations

from agents.roles.context import assignment, files_section, relevant_files
from agents.roles.system_prompt import system_prompt
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.documents.reports import ReviewReport
from contracts.schema.registry import load_schema


@agent(role="reviewer")
class ReviewerAgent:
    """Makes a ReviewReport of the tree, given the contract and the request. It writes no file.

    The verdict is "failed" when the report does not approve and contains a critical finding.
    """

    async def run(self, task: Task) -> AgentResult:
        report = await self.review(task)
        critical = any(finding.severity == "critical" for finding in report.findings)
        failed = not report.approved and critical
        return AgentResult(report=report, verdict="failed" if failed else "passed", summary=report.summary)

    async def review(self, task: Task) -> ReviewReport:
        """Ask the model for a review. Raises AgentFailure and what `Task.ask` raises."""
        schema = load_schema("review")
        named = relevant_files(task)
        rest = [(path, task.files[path]) for path in sorted(set(task.files) - dict(named).keys())]
        prompt = await assignment(task) + "\n" + files_section("The files to review", named + rest)
        return await task.ask_document(
            ReviewReport, prompt, system=system_prompt("reviewer", schema), schema=schema
        )
