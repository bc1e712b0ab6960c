"""Work in a repository: in steps, in the task's workspace."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from agents.loop.loop import Assignment, Loop
from agents.loop.record import Ending
from agents.roles.asked_ends import asked_result, check_asked
from agents.roles.context import belongs_to_tester
from agents.roles.permissions import PERMISSIONS
from agents.roles.system_prompt import steps_prompt
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.baseline.commands import PACKAGE_FILE, test_command
from agents.tools.bench import Bench
from agents.tools.reading import content_of
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import AgentFailure
from contracts.base.paths import EVERYWHERE
from contracts.documents.repository_settings import NO_SETTINGS
from contracts.documents.todo_list import Role

_STATUS: Final = ("git", "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
_NAMED: Final = 10
_MADE_BY_PROGRAMS: Final = {
    b"__pycache__",
    b".pytest_cache",
    b".mypy_cache",
    b".ruff_cache",
    b"node_modules",
}
"""Folders that are nobody's work, also where a repository does not tell Git to ignore them."""


def works_in_steps(task: Task) -> bool:
    """Whether there is a repository, and a place to work in it."""
    return task.request.base_commit is not None and task.workplace is not None


def does_everything(task: Task) -> bool:
    """Whether the whole request is one task, which has no plan."""
    return task.item.agent_role == Role.CODER and EVERYWHERE in task.request.writable


def may_ask_for_plan(task: Task) -> bool:
    """Whether a planner can take the request over: what somebody did before is not in its plan."""
    return does_everything(task) and not task.item.dependencies


async def change_repository(task: Task, text: str, ends: Sequence[Tool[Any]] = ()) -> AgentResult:
    """Work on an assignment; the changed files and a line on what was done, or what the agent asks for.

    ends: ways to end beside finishing and giving up.

    Files that Git ignores are no part of it, nor those that the task may not write, which are named. Raises
    AgentFailure, also when nothing was changed, and what the model and the workspace raise.
    """
    role = task.item.agent_role
    tools = PERMISSIONS[role].allowed
    loop = Loop(
        task.exchanges,
        tools,
        lambda tree: _bench(task, tree),
        ends=ends,
        check_end=lambda asked: check_asked(task, asked),
        on_step=task.on_step,
    )
    system = steps_prompt("alone" if does_everything(task) else role)
    ending = await loop.run(Assignment(f"{role}.step", system, text))
    if ending.kind == "given_up":
        raise AgentFailure(ending.text, code="gave_up")
    if ending.asked is not None:
        return await asked_result(task, ending.asked)
    files, left_out = await _changes(loop.bench or await _bench(task, loop.tree))
    if not files:
        # A fix that changes nothing is judged as before; another attempt would be asked the same.
        raise AgentFailure(
            _nothing(ending, left_out), code="nothing_changed", retryable=role != Role.DEBUGGER
        )
    return AgentResult(files=files, summary=ending.text + _note(left_out))


async def _bench(task: Task, tree: str) -> Bench:
    leaves = "tester" in PERMISSIONS[task.item.agent_role].leaves

    def refusal(path: str) -> str | None:
        if leaves and belongs_to_tester(task, path):
            return f"file {path!r} is a tester's and stays as it is"
        return task.refusal(path)

    said = task.request.repository or NO_SETTINGS
    return Bench(
        await task.workspace(tree),
        refusal,
        test=test_command(task.files, said.test, task.files.get(PACKAGE_FILE)),
        lint=tuple(shlex.split(said.lint or "")),
        ask=task.ask_person,
    )


async def _changes(bench: Bench) -> tuple[dict[str, bytes | str | None], list[str]]:
    """What differs from the task's base and is to be kept, and the paths that are not."""
    result = await bench.exec(_STATUS)
    if result.exit_code != 0:
        raise AgentFailure(f"git status: {result.stderr.decode('utf-8', 'replace')[:500]}", code="no_status")
    changed = {entry[3:].decode("utf-8", "surrogateescape"): entry[:2] for entry in _entries(result.stdout)}
    kept = {path: b"D" in state for path, state in changed.items() if bench.refusal(path) is None}
    links = await _links(bench, [path for path, deleted in kept.items() if not deleted])
    files: dict[str, bytes | str | None] = {}
    for path, deleted in kept.items():
        if path not in links:
            files[path] = None if deleted else await _content(bench, path)
    return files, sorted(changed.keys() - files.keys())


async def _content(bench: Bench, path: str) -> bytes:
    try:
        return await content_of(bench, path)
    except ToolRefused as error:
        raise AgentFailure(str(error), code="too_large") from None


def _entries(status: bytes) -> Iterator[bytes]:
    for entry in filter(None, status.split(b"\0")):
        if not _MADE_BY_PROGRAMS & set(entry[3:].split(b"/")):
            yield entry


async def _links(bench: Bench, paths: Iterable[str]) -> set[str]:
    """Those of the paths that are symbolic links, which no outcome holds."""
    folders = sorted({path.rpartition("/")[0] for path in paths})
    return {
        f"{folder}/{entry.name}".removeprefix("/")
        for folder in folders
        for entry in await bench.workspace.list(folder)
        if entry.kind == "link"
    }


def _note(left_out: list[str]) -> str:
    if not left_out:
        return ""
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return f" (left out, as they may not be written: {', '.join(left_out[:_NAMED])}{more})"


def _nothing(ending: Ending, left_out: list[str]) -> str:
    return f"nothing was changed, and the end was: {ending.text}{_note(left_out)}"
