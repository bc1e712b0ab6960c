"""Work in a repository: in steps, in the task's workspace."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from agents.loop.ends import Ends, Finish
from agents.loop.loop import Assignment, Loop
from agents.loop.record import Ending
from agents.roles.asked_ends import AskedEnds, Changed
from agents.roles.checks.rules import Checks, Files
from agents.roles.context import belongs_to_tester, on_base, shown_whole
from agents.roles.permissions import PERMISSIONS
from agents.roles.system_prompt import steps_prompt
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.testing.baseline.commands import PACKAGE_FILE, test_command
from agents.tools.asking import ASK
from agents.tools.bench import Bench
from agents.tools.checkers import checking
from agents.tools.reading import content_of
from agents.tools.tool import Tool, ToolRefused
from contracts.base.errors import AgentFailure, InvalidInput
from contracts.base.languages import LANGUAGES, serves_tests
from contracts.base.model import Model
from contracts.base.paths import EVERYWHERE
from contracts.documents.repository_settings import NO_SETTINGS
from contracts.documents.todo_list import Role
from contracts.ports.workspace import MADE_BY_PROGRAMS

A = TypeVar("A", bound=Model)

_STATUS: Final = ("git", "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
_SOURCES: Final = tuple(suffix for language in LANGUAGES for suffix in language.suffixes)


def works_in_steps(task: Task) -> bool:
    """Whether there is a repository, and a place to work in it."""
    return task.request.base_commit is not None and task.workplace is not None


def does_everything(task: Task) -> bool:
    """Whether the whole request is one task, which has no plan."""
    return task.item.agent_role == Role.CODER and EVERYWHERE in task.request.writable


def may_ask_for_plan(task: Task) -> bool:
    """Whether a planner can take the request over: what somebody did before is not in its plan."""
    return does_everything(task) and not task.item.dependencies


def steps_of(task: Task, ends: Ends) -> Loop:
    """The loop of the task's role, over its workspace; tools that are of no use there are not offered."""
    unused = {"search", "find", "list"} if shown_whole(task) is not None else set()
    unused |= set() if task.may_ask else {ASK.name}
    tools, told = PERMISSIONS[task.item.agent_role].allowed, task.on_step
    return Loop(
        task.exchanges, tools, lambda tree: _bench(task, tree), ends=ends, on_step=told, unoffered=unused
    )


async def take_steps(task: Task, loop: Loop, text: str) -> Ending:
    """Work on an assignment, to an end other than giving up.

    Raises AgentFailure, and what the model and the workspace raise.
    """
    role = task.item.agent_role
    unasked = ASK.name in PERMISSIONS[role].tools and not task.may_ask
    system = steps_prompt("alone" if does_everything(task) else role, unasked=unasked)
    ending = await loop.run(Assignment(f"{role}.step", system, text))
    if ending.kind == "given_up":
        raise AgentFailure(ending.text, code="gave_up")
    return ending


async def look_around(
    task: Task, text: str, finish: Tool[A], check: Callable[[A], Awaitable[None]] | None = None
) -> A:
    """Let a role that changes nothing take steps until it ends with a document: the arguments of `finish`.

    check: raises ToolRefused for one that cannot be used. Raises as `take_steps`.
    """

    async def checked(asked: Model) -> None:
        if check is not None:
            await check(finish.arguments.model_validate(asked))

    loop = steps_of(task, Ends(finish, check=checked))
    ending = await take_steps(task, loop, text)
    if ending.asked is None:
        raise AgentFailure(f"it ended without `{finish.name}`: {ending.text}", code="no_document")
    return finish.arguments.model_validate(ending.asked)


async def change_repository(task: Task, text: str, ends: Sequence[Tool[Any]] = ()) -> AgentResult:
    """Work on an assignment; the changed files and a line on what was done, or what the agent asks for.

    ends: ways to end beside finishing and giving up.

    Files that Git ignores are no part of it, nor those that the task may not write, which are named. Raises
    AgentFailure, also when nothing was changed, and what the model and the workspace raise.
    """
    asked, checks = AskedEnds(task, lambda: _last_look(task, loop)), Checks(task)

    async def check(wanted: Model) -> None:
        await asked.check(wanted)
        if isinstance(wanted, Finish) and checks.checks and (found := await _last_look(task, loop)).files:
            await _refused(checks, found.files)

    await checks.look()
    loop = steps_of(task, Ends(others=tuple(ends), check=check))
    ending = await take_steps(task, loop, text)
    if ending.asked is not None:
        result = await asked.result(ending.asked)
        if result.files:
            await checks.judge(result.files, at_end=True)
        return replace(result, report=result.report or checks.report)
    found = await _last_look(task, loop)
    if not found.files:
        # A fix that changes nothing is judged as before; another attempt would be asked the same.
        raise AgentFailure(
            f"nothing was changed, and the end was: {ending.text}{found.note}",
            code="nothing_changed",
            retryable=task.item.agent_role != Role.DEBUGGER,
        )
    await checks.judge(found.files, at_end=True)
    return AgentResult(
        files=found.files, summary=ending.text + found.note + checks.note, report=checks.report
    )


async def _refused(checks: Checks, files: Files) -> None:
    """Raise ToolRefused for files that do not pass the checks, as long as they can be mended."""
    try:
        await checks.judge(files)
    except AgentFailure as failure:
        if failure.retryable and checks.can_be_mended:
            raise ToolRefused(str(failure)) from None
        raise


async def _last_look(task: Task, loop: Loop) -> Changed:
    """What was changed; where the workspace cannot be looked at any more, what its last tree holds."""
    try:
        return await changes_of(loop)
    except InvalidInput:
        if not loop.is_kept:
            raise
        loop.bench = await _bench(task, loop.tree, anew=True)
        return await changes_of(loop)


async def _bench(task: Task, tree: str, *, anew: bool = False) -> Bench:
    allowed = PERMISSIONS[task.item.agent_role]

    def refusal(path: str) -> str | None:
        if "tester" in allowed.leaves and belongs_to_tester(task, path):
            return f"file {path!r} is a tester's and stays as it is"
        if allowed.only_tests and _is_code(task, path):
            return f"file {path!r} is no file of tests, and you write no other"
        return task.refusal(path)

    said = task.request.repository or NO_SETTINGS
    return Bench(
        await task.workspace(tree, anew=anew),
        refusal,
        test=test_command(task.files, said.test, task.files.get(PACKAGE_FILE)),
        test_for=lambda paths: test_command(paths, None, None),
        lint=checking(shlex.split(said.lint or "")),
        on_base=lambda: on_base(task),
        ask=task.ask_person,
        permit=task.permits.check,
        base=task.request.base_commit or "HEAD",
    )


def _is_code(task: Task, path: str) -> bool:
    """Whether a file is code under test, as far as that is known; what the plan names is not."""
    if serves_tests(path) or path in task.item.output_artifacts:
        return False
    return path in task.files or path.endswith(_SOURCES)


async def changes_of(loop: Loop) -> Changed:
    """What differs from the task's base and is to be kept, and the paths that are not."""
    bench = await loop.opened()
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
    return Changed(files, tuple(sorted(changed.keys() - files.keys())))


async def _content(bench: Bench, path: str) -> bytes:
    try:
        return await content_of(bench, path)
    except ToolRefused as error:
        raise AgentFailure(str(error), code="too_large") from None


def _entries(status: bytes) -> Iterator[bytes]:
    for entry in filter(None, status.split(b"\0")):
        if not MADE_BY_PROGRAMS & set(entry[3:].decode("utf-8", "surrogateescape").split("/")):
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
