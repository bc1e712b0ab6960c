"""Runs an acceptance test of a task in a fresh sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from agents.roles.checks.collected import Collected
from agents.sdk.changed_tree import ChangedTree
from agents.sdk.task import Task
from agents.testing.apart.choosing import APART_SECONDS
from agents.testing.first_failure import command_failure
from agents.testing.harness_report import report_size
from agents.testing.pytest_commands import split_command
from agents.testing.sessions import SessionPlan, plan_session
from agents.testing.validation import command_run
from agents.testing.verdict import Session, read_session
from contracts.base.errors import LimitExceeded, SandboxUnavailable
from contracts.base.languages import LANGUAGES, Language
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.reports import TestCase
from contracts.documents.todo_list import AcceptanceTest
from contracts.ports.sandbox import SandboxResult
from contracts.ports.workspace import NO_ENVIRONMENT

_NOT_FOUND: Final = 127


async def run_test(
    task: Task,
    test: AcceptanceTest,
    files: Mapping[str, bytes],
    collected: Collected,
    *,
    apart: bool = True,
) -> None:
    """Run it on `files` and collect how it ended. Raises SandboxUnavailable, AgentFailure, InvalidInput.

    apart: whether its tests are tried apart from the code first.
    """
    plugins = await task.environment() != NO_ENVIRONMENT
    plan = await plan_session(split_command(test.cmd), files, plugins=plugins, known=collected.known)
    if plan is None:
        await _run_command(task, test, files, collected)
    else:
        await _run_session(task, test, plan if apart else replace(plan, apart=None), files, collected)


async def _run_command(
    task: Task, test: AcceptanceTest, files: Mapping[str, bytes], collected: Collected
) -> None:
    argv = split_command(test.cmd)
    ended = await task.run_sandbox(argv, files=files, wall_seconds=test.timeout_seconds)
    for language in LANGUAGES:
        if argv[0] == language.program and ended.exit_code == _NOT_FOUND:
            raise _missing_program(language, ended)
    run = command_run(test.cmd, ended)
    outcome = "passed" if run.verdict == "ok" else "failed"
    message = "" if run.verdict == "ok" else f"{run.verdict}, exit code {run.exit_code}"
    collected.results.append(
        TestCase.model_validate({"test_id": run.cmd, "outcome": outcome, "message": message})
    )
    collected.add(test, run, command_failure(run, ended, files), ended)


async def _run_session(
    task: Task,
    test: AcceptanceTest,
    plan: SessionPlan,
    files: Mapping[str, bytes],
    collected: Collected,
) -> None:
    alone: frozenset[str] = frozenset()
    if plan.apart is not None:
        seconds = min(test.timeout_seconds, APART_SECONDS)
        session, ended = await _ran(task, plan.apart.plan, files, seconds, Collected())
        alone = session.passed_apart
        if plan.apart.is_whole and session.is_conclusive:
            collected.add_session(test, session.marked(alone), ended, files)
            return
    session, ended = await _ran(task, plan, files, test.timeout_seconds, collected)
    if session.missing:
        raise _missing_program(plan.language, ended)
    collected.add_session(test, session.marked(alone), ended, files)


async def _ran(
    task: Task,
    plan: SessionPlan,
    files: Mapping[str, bytes],
    seconds: float,
    before: Collected,
) -> tuple[Session, SandboxResult]:
    # Each session has its own sandbox, so nothing that wrote or ran the code before can affect it.
    ended = await task.run_sandbox(
        plan.argv,
        files=ChangedTree(files, plan.files),
        read_only=plan.read_only,
        stdin=plan.stdin,
        wall_seconds=seconds,
    )
    return await _judged(plan, ended, before), ended


async def _judged(plan: SessionPlan, ended: SandboxResult, before: Collected) -> Session:
    size = report_size(ended.stdout)
    excused, known = before.excused, before.known
    try:
        return await bounded_call(
            size, read_session, ended.stdout, plan.nonce, ended, plan.expectations, excused, known
        )
    except LimitExceeded as error:
        return Session(problems=(f"the report of the tests {error}",))


def _missing_program(language: Language, ended: SandboxResult) -> SandboxUnavailable:
    return SandboxUnavailable(f"the sandbox {ended.backend} has no {language.name}: {language.how_to_get}")
