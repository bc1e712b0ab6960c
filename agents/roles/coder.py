"""The coder: writes code for a contract."""

from __future__ import annotations

from agents.roles.context import as_files, assignment, check_code, files_section, relevant_files
from agents.roles.system_prompt import system_prompt
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.validation import run_rules
from contracts.documents.reports import CodeArtifacts
from contracts.schema.registry import load_schema


@agent(role="coder")
class CoderAgent:
    """Writes code from the contract, the task's description, its output paths and the existing files.

    An answer is sent back to the model when it contains paths that may not be written or files that are not
    valid Python or JSON, or when it lacks output files. The task's `command` validation rules then run in the
    sandbox; a rule that fails fails the attempt. With such rules, the report is a BuildReport.
    """

    async def run(self, task: Task) -> AgentResult:
        code = await self.generate_code(task)
        files = as_files(code)
        report = await run_rules(task, files)
        return AgentResult(files=files, report=report, summary=code.summary)

    async def generate_code(self, task: Task) -> CodeArtifacts:
        """Ask the model for the files and check them. Raises AgentFailure and what `Task.ask` raises."""
        schema = load_schema("code")
        prompt = await assignment(task) + "\n" + files_section("Files so far", relevant_files(task))
        needed = [path for path in task.item.output_artifacts if not path.endswith("/")]
        return await task.ask_document(
            CodeArtifacts,
            prompt,
            system=system_prompt("coder", schema),
            schema=schema,
            check=lambda code: check_code(task, code, needed=needed),
        )
