"""What a coder leaves whose execution ends before its work: a commit of what its last step left."""

from __future__ import annotations

import asyncio
from dataclasses import replace
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
    """Files that were there, and those that tools wrote; others may be what programs made on their way."""
    step = task.exchanges.last_step
    found = await artifacts.changes(task.base.commit, step.tree, max_bytes=_MOST_BYTES)
    files: dict[str, bytes | str | None] = {path: None for path in found.deleted if path in task.files}
    files |= {path: file.content for path, file in found.files.items() if not file.is_link}
    mine = {path for path in files if path in task.files or path in step.written}
    return {path: files[path] for path in sorted(mine) if _is_kept(task, path)}


def _is_kept(task: Task, path: str) -> bool:
    return task.refusal(path) is None and not MADE_BY_PROGRAMS & set(path.split("/"))
