"""The debugger: corrects code after a failing test report, or a review that does not approve."""

from __future__ import annotations

from agents.loop.step import BLAME_ENVIRONMENT, CONTEST
from agents.roles.asked_ends import contestable
from agents.roles.context import (
    as_files,
    assignment,
    check_code,
    failed_before,
    files_section,
    likeliest_first,
    relevant_files,
)
from agents.roles.earlier_reports import what_failed
from agents.roles.repository_work import change_repository, works_in_steps
from agents.roles.system_prompt import role_prompt
from agents.sdk.prompting import section
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.base.languages import serves_tests
from contracts.documents.reports import CodeArtifacts
from contracts.schema.registry import load_schema


@agent(role="debugger")
class DebuggerAgent:
    """Corrects code, given the failing report of a dependency, the contract, the code and the tests.

    It may change the paths that the request lists as writable. These are files under test, never the tests.
    In a repository it works in steps (agents.loop).
    """

    async def run(self, task: Task) -> AgentResult:
        if works_in_steps(task):
            found = what_failed(task, await task.baseline())
            parts = [await assignment(task, found.text), section(found.title, found.text)]
            text = "\n".join([*parts, *await failed_before(task)])
            ends = (CONTEST, BLAME_ENVIRONMENT) if contestable(task) else (BLAME_ENVIRONMENT,)
            return await change_repository(task, text, ends)
        code = await self.fix_code(task)
        return AgentResult(files=as_files(code), summary=code.summary)

    async def fix_code(self, task: Task) -> CodeArtifacts:
        """Ask the model for corrected files.

        Raises AgentFailure, also when there is no failing report, and what `Task.ask` raises.
        """
        schema = load_schema("code")
        found = what_failed(task, await task.baseline())
        tests = await likeliest_first(task, filter(serves_tests, task.files), found.text)
        code = [path for path in await relevant_files(task, found.text) if not serves_tests(path)]
        prompt = "\n".join(
            [
                await assignment(task, found.text),
                section(found.title, found.text),
                *await failed_before(task),
                files_section("The code", task, code),
                files_section("The tests, which stay as they are", task, tests),
            ]
        )
        return await task.ask_document(
            CodeArtifacts,
            prompt,
            system=role_prompt(task, "debugger", schema),
            schema=schema,
            check=lambda answer: check_code(task, answer),
        )
