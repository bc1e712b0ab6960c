"""The reviewer: reads the files and reports what is wrong with them."""

from __future__ import annotations

from typing import Any, Final

from agents.roles.context import assignment, failed_before, files_section, likeliest_first, relevant_files
from agents.roles.earlier_reports import earlier_findings
from agents.roles.repository_work import works_in_steps
from agents.roles.reviewing import EARLIER, review_in_steps
from agents.roles.system_prompt import role_prompt
from agents.sdk.prompting import section
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.base.text import bounded
from contracts.documents.reports import ReviewReport
from contracts.messages.payloads import ReviewSummary
from contracts.schema.registry import load_schema

_SEVERITIES: Final = ("info", "minor", "major", "critical")
_MAX_FINDINGS: Final = 20
_MAX_MESSAGE: Final = 1_000


@agent(role="reviewer")
class ReviewerAgent:
    """Makes a ReviewReport of the tree, given the contract and the request. It writes no file.

    In a repository it looks around in steps (agents.loop).

    The verdict is "failed" when the report does not approve.
    """

    async def run(self, task: Task) -> AgentResult:
        report = await self.review(task)
        return AgentResult(
            report=report,
            verdict="passed" if report.approved else "failed",
            summary=report.summary,
            review=_summary(report),
        )

    async def review(self, task: Task) -> ReviewReport:
        """Ask the model for a review. Raises AgentFailure and what `Task.ask` raises."""
        if works_in_steps(task):
            return await review_in_steps(task)
        schema = _schema()
        named = await relevant_files(task)
        rest = await likeliest_first(task, set(task.files).difference(named))
        parts = [
            await assignment(task),
            *await failed_before(task),
            files_section("The files to review", task, named + rest),
        ]
        if task.request.cycle and (earlier := earlier_findings(task)):
            parts.insert(1, section(EARLIER, earlier))
        prompt = "\n".join(parts)
        return await task.ask_document(
            ReviewReport, prompt, system=role_prompt(task, "reviewer", schema), schema=schema
        )


def _schema() -> dict[str, Any]:
    """The schema of an answer that is given at once, by who has seen no numbers of lines."""
    schema = load_schema("review")
    del schema["$defs"]["ReviewFinding"]["properties"]["line"]
    return schema


def _summary(report: ReviewReport) -> ReviewSummary:
    """The report as the outcome carries it: the gravest findings, each cut to a bound."""
    gravest = sorted(report.findings, key=lambda finding: -_SEVERITIES.index(finding.severity))
    findings = [
        finding.model_copy(update={"message": bounded(finding.message, _MAX_MESSAGE)})
        for finding in gravest[:_MAX_FINDINGS]
    ]
    return ReviewSummary(approved=report.approved, findings=tuple(findings))
