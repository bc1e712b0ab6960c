"""The messages that the orchestrator publishes, built from its state."""

from __future__ import annotations

from typing import Any

from contracts.base.timestamps import rfc3339
from contracts.messages.approvals import Permits
from contracts.messages.budget import Grant
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode, encode_checked
from contracts.messages.payloads import (
    CommandNotice,
    Control,
    TaskError,
    TaskOutcome,
    TaskRequest,
    WorkflowNotice,
)
from contracts.messages.suspension import ResumeFrom
from contracts.ports.bus import Outgoing
from orchestrator.core.approvals.actions import calls_need_approval
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Header, TaskState
from orchestrator.core.suspension import questions_left


def request_stream(task: TaskState) -> str:
    """The stream on which a task is dispatched."""
    name = Channels.suspects if task.suspect else Channels.requests
    return name(task.item.agent_role, task.item.required_tag)


def result_stream(workflow_id: str) -> str:
    """The stream on which a workflow's owner expects the outcomes of its tasks."""
    return Channels.results(shard_of(workflow_id))


def request_message(header: Header, task: TaskState) -> Outgoing:
    """The dispatch of a task; the same bytes each time it is published."""
    data: dict[str, Any] = {
        "dispatch_id": task.dispatch_id,
        "reply_to": Channels.results(header.shard),
        "attempt": task.attempt,
        "cycle": task.cycle,
        "created_at": int(task.dispatched_at),
        "request": header.request,
        "item": task.item,
        "parents": task.parents,
        "writable": task.item.output_artifacts,
    }
    if header.base_commit:
        data["base_commit"] = header.base_commit
    if header.repository:
        data["repository"] = header.repository
    if left := questions_left(header, task):
        data["questions"] = left
    if task.answers:
        data["resume_from"] = ResumeFrom(answers=task.answers)
    if header.approvals is not None and calls_need_approval(header):
        allowed = task.wanted.digest if task.wanted else None
        data["permits"] = Permits(policy=header.approvals, allowed=allowed, refused=dict(task.refused))
    if task.allowance is not None:
        data["grant"] = Grant(allowance=task.allowance, earlier=tuple(name for name, _ in task.unknown))
    payload = encode_checked(
        EventType.TASK_DISPATCHED,
        data,
        id=task.dispatch_id,
        source="orchestrator",
        subject=task.task_id,
        time=rfc3339(task.dispatched_at),
        correlationid=header.workflow_id,
        workflowid=header.workflow_id,
        taskid=task.task_id,
        attempt=task.attempt,
    )
    return Outgoing(request_stream(task), payload)


def unreadable_dispatch_outcome(request: TaskEvent[TaskRequest], reason: str, now: float) -> Outgoing:
    """The outcome of a dispatch that a worker could not read."""
    assert request.workflowid is not None
    event = TaskEvent[TaskOutcome](
        id=f"refused-{request.id}",
        source="orchestrator",
        type=EventType.TASK_FINISHED,
        subject=request.taskid,
        time=rfc3339(now),
        correlationid=request.workflowid,
        workflowid=request.workflowid,
        taskid=request.taskid,
        data=TaskOutcome(
            dispatch_id=request.id,
            execution_id=request.id,
            worker_id="none",
            status="failed",
            error=TaskError(code="refused_by_worker", message=reason),
        ),
    )
    return Outgoing(result_stream(request.workflowid), encode(event))


def control_message(worker_id: str, control: Control, *, message_id: str, now: float) -> Outgoing:
    """Acknowledgements and recalls for one worker."""
    payload = encode_checked(
        EventType.WORKER_CONTROL,
        control,
        id=message_id,
        source="orchestrator",
        subject=worker_id,
        time=rfc3339(now),
    )
    return Outgoing(Channels.control(worker_id), payload)


def workflow_notice(header: Header, *, message_id: str, now: float) -> Outgoing:
    """A hint to subscribers that a workflow has changed."""
    payload = encode_checked(
        EventType.WORKFLOW_CHANGED,
        WorkflowNotice(workflow_id=header.workflow_id, status=header.status.value),
        id=message_id,
        source="orchestrator",
        subject=header.workflow_id,
        time=rfc3339(now),
        workflowid=header.workflow_id,
    )
    return Outgoing(Channels.WORKFLOW_EVENTS, payload)


def command_notice(command_id: str, *, message_id: str, now: float) -> Outgoing:
    """A hint to the orchestrators that a command is stored."""
    payload = encode_checked(
        EventType.COMMAND_ADDED,
        CommandNotice(command_id=command_id),
        id=message_id,
        source="client",
        subject=command_id,
        time=rfc3339(now),
    )
    return Outgoing(Channels.COMMANDS, payload)
