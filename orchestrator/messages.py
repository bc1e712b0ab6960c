"""Between state and messages."""

from __future__ import annotations

from contracts.channels import Channels
from contracts.events import (
    Control,
    EventType,
    TaskError,
    TaskEvent,
    TaskOutcome,
    TaskRequest,
    WorkflowNotice,
    encode,
    encode_checked,
)
from contracts.ports import Outgoing
from contracts.timestamps import rfc3339
from orchestrator.batch import shard_of
from orchestrator.state import Header, TaskState

# Looked up once: a model class finds its parametrised form by a search.
_OUTCOME = TaskEvent[TaskOutcome]
_CONTROL, _NOTICE = TaskEvent[Control], TaskEvent[WorkflowNotice]


def request_stream(task: TaskState) -> str:
    """Where a task is dispatched."""
    name = Channels.suspects if task.suspect else Channels.requests
    return name(task.item.agent_role, task.item.required_tag)


def home(workflow_id: str) -> str:
    """The stream on which a workflow's owner hears of its tasks."""
    return Channels.results(shard_of(workflow_id))


def request_message(header: Header, task: TaskState) -> Outgoing:
    """The dispatch of a task, the same bytes however often it is published."""
    data = {
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
    payload = encode_checked(
        EventType.TASK_REQUESTED,
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


def refusal(request: TaskEvent[TaskRequest], reason: str, now: float) -> Outgoing:
    """The outcome of a dispatch that a worker could not read."""
    assert request.workflowid is not None
    event = _OUTCOME(
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
    return Outgoing(home(request.workflowid), encode(event))


def control_message(worker_id: str, control: Control, *, message_id: str, now: float) -> Outgoing:
    """The owner's word to one worker."""
    event = _CONTROL(
        id=message_id,
        source="orchestrator",
        type=EventType.WORKER_CONTROL,
        subject=worker_id,
        time=rfc3339(now),
        data=control,
    )
    return Outgoing(Channels.control(worker_id), encode(event))


def workflow_notice(header: Header, *, message_id: str, now: float) -> Outgoing:
    """A hint to watchers."""
    event = _NOTICE(
        id=message_id,
        source="orchestrator",
        type=EventType.WORKFLOW_CHANGED,
        subject=header.workflow_id,
        time=rfc3339(now),
        workflowid=header.workflow_id,
        data=WorkflowNotice(workflow_id=header.workflow_id, status=header.status.value),
    )
    return Outgoing(Channels.WORKFLOW_EVENTS, encode(event))
