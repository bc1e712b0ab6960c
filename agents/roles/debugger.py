"""The debugger: corrects code after a failing test report, or a review that does not approve."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from agents.loop.ends import BLAME_ENVIRONMENT, CONTEST
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
from agents.roles.earlier_reports import failed_traces, what_failed
from agents.roles.repository_work import change_repository, works_in_steps
from agents.roles.system_prompt import role_prompt
from agents.sdk.changed_tree import is_same
from agents.sdk.prompting import section
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.validation import merged_tree
from contracts.base.errors import AgentFailure
from contracts.base.languages import serves_tests
from contracts.base.text import fenced
from contracts.documents.reports import CodeArtifacts
from contracts.schema.registry import load_schema

_TRACES: Final = "How the first of them failed (data); call `test` with an id for the whole of it"


@agent(role="debugger")
class DebuggerAgent:
    """Corrects code, given the failing report of a dependency, the contract, the code and the tests.

    It may change the paths that the request lists as writable. These are files under test, never the tests.
    In a repository it works in steps (agents.loop).
    """

    async def run(self, task: Task) -> AgentResult:
        if works_in_steps(task):
            return await self.fix_in_steps(task)
        code = await self.fix_code(task)
        return AgentResult(files=as_files(code), summary=code.summary)

    async def fix_in_steps(self, task: Task) -> AgentResult:
        """Work in the repository. Raises AgentFailure, also for a change that was made before."""
        found = what_failed(task, await task.baseline())
        parts = [await assignment(task, found.text), section(found.title, found.text)]
        if traces := failed_traces(task):
            parts.append(section(_TRACES, fenced(traces)))
        text = "\n".join([*parts, *await failed_before(task)])
        ends = (CONTEST, BLAME_ENVIRONMENT) if contestable(task) else (BLAME_ENVIRONMENT,)
        result = await change_repository(task, text, ends)
        if result.files and await _did_not_pass(task, merged_tree(task.files, result.files)):
            raise AgentFailure(
                f"the same change again: all files are as they were when they did not pass; {result.summary}",
                code="same_change",
                retryable=False,
            )
        return result

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


async def _did_not_pass(task: Task, files: Mapping[str, bytes]) -> bool:
    """Whether exactly these files were judged before an earlier fix, however they came to be so."""
    if task.commits is None:
        return False
    for commit in task.base.mended:
        if await asyncio.to_thread(is_same, files, await task.commits.open_tree(commit)):
            return True
    return False
