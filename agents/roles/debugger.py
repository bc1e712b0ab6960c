"""The debugger: corrects code after a failing test report, or a review that does not approve."""

from __future__ import annotations

from agents.roles.context import as_files, assignment, check_code, files_section, relevant_files
from agents.roles.earlier_reports import what_failed
from agents.roles.system_prompt import system_prompt
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
    """

    async def run(self, task: Task) -> AgentResult:
        code = await self.fix_code(task)
        return AgentResult(files=as_files(code), summary=code.summary)

    async def fix_code(self, task: Task) -> CodeArtifacts:
        """Ask the model for corrected files.

        Raises AgentFailure, also when there is no failing report, and what `Task.ask` raises.
        """
        schema = load_schema("code")
        found = what_failed(task)
        tests = [(path, task.files[path]) for path in sorted(task.files) if serves_tests(path)]
        code = [(path, content) for path, content in relevant_files(task) if not serves_tests(path)]
        prompt = "\n".join(
            [
                await assignment(task),
                section(found.title, found.text),
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
