"""From an agent's result to a commit: the checks, and one write for outcomes that finish together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from agents.registry import AgentInfo
from agents.result import AgentResult
from agents.task import Task
from contracts.errors import AgentFailure, UnsafePath
from contracts.paths import check_tree
from contracts.ports import ArtifactStore, PendingCommit
from contracts.reports import ArtifactMetadata


def checked_files(task: Task, result: AgentResult) -> dict[str, bytes | None]:
    """The files as they will be written. Raises AgentFailure (path_not_allowed) otherwise."""
    files: dict[str, bytes | None] = {}
    for path in sorted(result.files):
        content = result.files[path]
        files[task.check_writable(path)] = content.encode() if isinstance(content, str) else content
    kept = set(task.files) | files.keys()
    kept -= {path for path, content in files.items() if content is None}
    try:
        check_tree(sorted(kept))
    except UnsafePath as error:
        raise AgentFailure(str(error), code="path_not_allowed") from None
    return files


def pending_commit(
    task: Task, result: AgentResult, info: AgentInfo, execution_id: str, correlation_id: str
) -> PendingCommit:
    """The commit for a result; all but `execution_id` repeats when the same work is done again."""
    request, item = task.request, task.item
    files = checked_files(task, result)
    metadata = ArtifactMetadata(
        workflow_id=task.workflow_id,
        task_id=item.task_id,
        correlation_id=correlation_id,
        agent_role=item.agent_role,
        agent_version=info.version,
        prompt_hash=task.exchanges.prompt_hash,
        model_name=task.exchanges.model_name,
        timestamp=_rfc3339(request.created_at),
        artifacts=tuple(files),
        parents=request.parents,
        attempt=request.attempt,
        report=None if result.report is None else result.report.model_dump(mode="json"),
    )
    return PendingCommit(
        workflow_id=task.workflow_id,
        task_id=item.task_id,
        attempt=request.attempt,
        execution_id=execution_id,
        parents=request.parents,
        files=files,
        metadata=metadata,
        subject=f"{item.agent_role}: {item.title}",
        created_at=request.created_at,
    )


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class CommitBatcher:
    """Writes commits that become ready while another write is under way in one go.

    When a batch fails, each of its commits is written alone, so that one bad commit fails nobody else's.
    """

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._waiting: list[tuple[PendingCommit, asyncio.Future[str]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, commit: PendingCommit) -> str:
        """The commit's name once it is durable. Raises what ArtifactStore.write raises."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._drain(), name="commit-writer")
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            live = [(commit, future) for commit, future in batch if not future.done()]
            if live and not await self._write_together(live):
                for commit, future in live:
                    await self._write_alone(commit, future)

    async def _write_together(self, batch: list[tuple[PendingCommit, asyncio.Future[str]]]) -> bool:
        if len(batch) == 1:
            return False
        try:
            names = await self._artifacts.write([commit for commit, _ in batch])
        except Exception:  # one of them is bad, or the store is: writing each alone tells
            return False
        for (_, future), name in zip(batch, names, strict=True):
            if not future.done():
                future.set_result(name)
        return True

    async def _write_alone(self, commit: PendingCommit, future: asyncio.Future[str]) -> None:
        try:
            (name,) = await self._artifacts.write([commit])
        except Exception as error:  # whatever it is, it belongs to the one who waits
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(name)
