"""Runs the validation rules of a task that are commands."""

from __future__ import annotations

from collections.abc import Mapping

from agents.sdk.changed_tree import ChangedTree
from agents.sdk.task import Task
from agents.testing.first_failure import command_failure
from agents.testing.pytest_commands import split_command
from agents.testing.stable_text import normalised_tail
from contracts.base.errors import AgentFailure
from contracts.documents.reports import BuildReport, CommandRun
from contracts.ports.sandbox import SandboxResult, Verdict


async def run_rules(task: Task, files: Mapping[str, bytes | str | None]) -> BuildReport | None:
    """Run each `command` rule on the tree with `files` applied; None when the task has no such rule.

    Raises AgentFailure (validation_failed) for a command that does not exit 0, and SandboxUnavailable.
    """
    commands = [
        rule.command for rule in task.item.acceptance_criteria.validation_rules if rule.type == "command"
    ]
    if not commands:
        return None
    tree = merged_tree(task.files, files)
    ends = [(cmd, await task.run_sandbox(split_command(cmd), files=tree)) for cmd in commands]
    runs = [command_run(cmd, ended) for cmd, ended in ends]
    for run, (_, ended) in zip(runs, ends, strict=True):
        if failure := command_failure(run, ended, tree):
            raise AgentFailure(
                f"validation command {run.cmd!r} failed: {failure.said}\n{run.output_tail}",
                code="validation_failed",
            )
    return BuildReport(passed=True, runs=tuple(runs))


def merged_tree(base: Mapping[str, bytes], changes: Mapping[str, bytes | str | None]) -> ChangedTree:
    """Apply the changes to the tree. None deletes a file."""
    written = {
        path: content.encode() if isinstance(content, str) else content for path, content in changes.items()
    }
    return ChangedTree(base, written)


def command_run(cmd: str, ended: SandboxResult) -> CommandRun:
    """Summarise how a command ended; its output is kept only when it did not exit with 0."""
    succeeded = ended.verdict is Verdict.OK and ended.exit_code == 0
    verdict = "failed" if ended.verdict is Verdict.OK and not succeeded else ended.verdict.value
    tail = "" if succeeded else normalised_tail(ended.stdout + b"\n" + ended.stderr)
    return CommandRun.model_validate(
        {"cmd": cmd[:300], "verdict": verdict, "exit_code": ended.exit_code, "output_tail": tail}
    )
