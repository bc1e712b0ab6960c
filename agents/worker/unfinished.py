"""What a coder leaves whose execution ends before its work: a commit of what its last step left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

import structlog

from agents.sdk.registry import AgentInfo
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from agents.worker.commits import pending_commit
from contracts.base.text import bounded
from contracts.documents.todo_list import Role
from contracts.ports.artifacts import WorkerArtifacts
from contracts.ports.workspace import MADE_BY_PROGRAMS

_log = structlog.get_logger(__name__)

_SECONDS: Final = 1.5
_BEHIND_DEADLINE: Final = 1.8
"""Less than what an execution has before its process is ended."""
_MOST_BYTES: Final = 32 << 20
_SAID: Final = " (unfinished)"


async def unfinished_work(
    task: Task,
    artifacts: WorkerArtifacts,
    info: AgentInfo,
    execution_id: str,
    correlation_id: str,
    *,
    deadline: float,
) -> str | None:
    """Commit what the last step left; None where there is nothing, or it cannot be had soon.

    deadline: that of the execution, by the clock of the event loop. Raises nothing but CancelledError: why it
    ended is told whatever happens here.
    """
    if task.item.agent_role != Role.CODER or not task.exchanges.last_step.tree or not task.base.commit:
        return None
    try:
        now = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(min(now + _SECONDS, deadline + _BEHIND_DEADLINE)):
            files = await _changed(task, artifacts)
            if not files:
                return None
            result = AgentResult(files=files, summary="unfinished: it ended before this was done or tested")
            pending = pending_commit(task, result, info, execution_id, correlation_id)
            subject, title = f"{pending.subject}{_SAID}", f"{pending.title}{_SAID}"
            pending = replace(pending, subject=subject, title=title)
            [commit] = await artifacts.write([pending])
    except Exception as error:
        reason = bounded(f"{type(error).__name__}: {error}")
        _log.warning("unfinished_work_not_kept", task_id=task.item.task_id, reason=reason)
        return None
    return commit


async def _changed(task: Task, artifacts: WorkerArtifacts) -> dict[str, bytes | str | None]:
    """Files that were there, and those that tools wrote; others may be what programs made on their way.

    What a command moved is kept at its new place; where that is not possible, it stays at its old one.
    """
    step = task.exchanges.last_step
    found = await artifacts.changes(task.base.commit, step.tree, max_bytes=_MOST_BYTES)
    files = {path: file.content for path, file in found.files.items() if not file.is_link}
    deleted = [path for path in found.deleted if path in task.files and path not in found.files]
    mine = {path for path in files if path in task.files or path in step.written}
    new = {path: files[path] for path in files.keys() - mine if not _is_of_programs(path)}
    gone = await asyncio.to_thread(lambda: {path: task.files[path] for path in deleted if new})
    moved = set(gone.values())
    mine |= {path for path, content in new.items() if content in moved}
    kept: dict[str, bytes | str | None] = {path: files[path] for path in mine if _is_kept(task, path)}
    contents, kinds = set(kept.values()), {_kind(path) for path in new if path not in kept}
    for path in deleted:
        # What is left out may be this file, moved and changed since.
        is_whole = path in step.written or gone.get(path) in contents or _kind(path) not in kinds
        if is_whole and _is_kept(task, path):
            kept[path] = None
    return {path: kept[path] for path in sorted(kept)}


def _kind(path: str) -> str:
    return PurePosixPath(path).suffix


def _is_kept(task: Task, path: str) -> bool:
    return task.refusal(path) is None and not _is_of_programs(path)


def _is_of_programs(path: str) -> bool:
    return not MADE_BY_PROGRAMS.isdisjoint(path.split("/"))
