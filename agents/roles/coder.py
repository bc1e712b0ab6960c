"""The coder: writes code for a contract."""

from __future__ import annotations

from typing import Any

from agents.loop.ends import CONTEST, NEEDS_PLAN
from agents.roles.checks.rules import Checks
from agents.roles.context import (
    as_files,
    assignment,
    check_code,
    files_section,
    relevant_files,
)
from agents.roles.repository_work import change_repository, does_everything, may_ask_for_plan, works_in_steps
from agents.roles.system_prompt import role_prompt
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.tools.tool import Tool
from contracts.documents.reports import CodeArtifacts
from contracts.schema.registry import load_schema


@agent(role="coder")
class CoderAgent:
    """Writes code from the contract, the task's description, its output paths and the existing files.

    In a repository it works in steps (agents.loop), and may contest tests that it leaves as they are.

    An answer is sent back to the model when it contains paths that may not be written or files that are not
    valid Python or JSON, or when it lacks output files; then when one of the task's `command` validation
    rules, or of the repository's own commands, fails over it in the sandbox. A rule that still fails after
    that fails the attempt. With such rules, the report is a BuildReport.
    """

    async def run(self, task: Task) -> AgentResult:
        if works_in_steps(task):
            return await change_repository(task, await assignment(task), _ends(task))
        checks = Checks(task)
        await checks.look()
        code = await self.generate_code(task, checks)
        return AgentResult(files=as_files(code), summary=code.summary + checks.note, report=checks.report)

    async def generate_code(self, task: Task, checks: Checks | None = None) -> CodeArtifacts:
        """Ask the model for the files and check them. Raises AgentFailure and what `Task.ask` raises."""
        schema = load_schema("code")
        prompt = (
            await assignment(task) + "\n" + files_section("Files so far", task, await relevant_files(task))
        )
        needed = [path for path in task.item.output_artifacts if not path.endswith("/")]

        async def check(code: CodeArtifacts) -> None:
            await check_code(task, code, needed=needed)
            if code.files and checks is not None:
                await checks.judge(as_files(code))

        return await task.ask_document(
            CodeArtifacts,
            prompt,
            system=role_prompt(task, "coder", schema),
            schema=schema,
            check=check,
        )


def _ends(task: Task) -> tuple[Tool[Any], ...]:
    """Who has everything changes tests itself."""
    if may_ask_for_plan(task):
        return (NEEDS_PLAN,)
    return () if does_everything(task) else (CONTEST,)
