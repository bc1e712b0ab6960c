"""From the result of an agent to a commit."""

from __future__ import annotations

from agents.sdk.registry import AgentInfo
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.base.timestamps import rfc3339_whole
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit


def checked_files(task: Task, result: AgentResult) -> dict[str, bytes | None]:
    """The files as they will be written. Raises AgentFailure (path_not_allowed) for a path that is not."""
    files: dict[str, bytes | None] = {}
    for path in sorted(result.files):
        content = result.files[path]
        files[task.check_writable(path)] = content.encode() if isinstance(content, str) else content
    return files


def leaves_something(task: Task, result: AgentResult) -> bool:
    """Whether there is something to commit: files, a report, or the record that a model was asked."""
    return bool(result.files) or result.report is not None or task.exchanges.prompt_hash is not None


def pending_commit(
    task: Task, result: AgentResult, info: AgentInfo, execution_id: str, correlation_id: str
) -> PendingCommit:
    """The commit for a result. The same work done again differs in `execution_id` alone."""
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
        timestamp=rfc3339_whole(request.created_at),
        artifacts=tuple(files),
        parents=request.parents,
        attempt=request.attempt,
        report=None if result.report is None else result.report.model_dump(mode="json"),
        guidance=task.guidance,
        skills=tuple(skill.path for skill in task.skills),
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
        title=item.title,
        summary=result.summary,
    )
