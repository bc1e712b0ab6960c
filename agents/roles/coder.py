"""The coder: writes code for a contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents.loop.ends import CONTEST, NEEDS_PLAN
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
from agents.testing.validation import run_rules
from agents.tools.tool import Tool
from contracts.documents.reports import CodeArtifacts
from contracts.schema.registry import load_schema


@agent(role="coder")
class CoderAgent:
    """Writes code from the contract, the task's description, its output paths and the existing files.

    In a repository it works in steps (agents.loop), and may contest tests that it leaves as they are.

    An answer is sent back to the model when it contains paths that may not be written or files that are not
    valid Python or JSON, or when it lacks output files. The task's `command` validation rules then run in the
    sandbox; a rule that fails fails the attempt. With such rules, the report is a BuildReport.
    """

    async def run(self, task: Task) -> AgentResult:
        if works_in_steps(task):
            result = await change_repository(task, await assignment(task), _ends(task))
        else:
            code = await self.generate_code(task)
            result = AgentResult(files=as_files(code), summary=code.summary)
        if not result.files:
            return result
        rules = await run_rules(task, result.files)
        return replace(result, report=result.report or rules)

    async def generate_code(self, task: Task) -> CodeArtifacts:
        """Ask the model for the files and check them. Raises AgentFailure and what `Task.ask` raises."""
        schema = load_schema("code")
        prompt = (
            await assignment(task) + "\n" + files_section("Files so far", task, await relevant_files(task))
        )
        needed = [path for path in task.item.output_artifacts if not path.endswith("/")]
        return await task.ask_document(
            CodeArtifacts,
            prompt,
            system=role_prompt(task, "coder", schema),
            schema=schema,
            check=lambda code: check_code(task, code, needed=needed),
        )


def _ends(task: Task) -> tuple[Tool[Any], ...]:
    """Who has everything changes tests itself."""
    if may_ask_for_plan(task):
        return (NEEDS_PLAN,)
    return () if does_everything(task) else (CONTEST,)
