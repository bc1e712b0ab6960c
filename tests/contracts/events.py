"""One event of every type, with every attribute set."""

from __future__ import annotations

from typing import Any

from contracts.base.model import Model
from contracts.messages.events import EventType, TaskEvent
from contracts.messages.payloads import (
    CommandNotice,
    Control,
    DeadLetteredMessage,
    Execution,
    Heartbeat,
    TaskError,
    TaskOutcome,
    TaskRequest,
    TestSummary,
    Usage,
    WorkerLeft,
    WorkflowNotice,
)
from contracts.messages.sandbox import (
    BundledFile,
    SandboxBounds,
    SandboxControl,
    SandboxHost,
    SandboxOrder,
    SandboxOutcome,
)
from contracts.messages.steps import CallTaken, StepTaken
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder
from tests.contracts.plans import item

COMMIT = "0123456789" * 4

DATA: dict[EventType, Model] = {
    EventType.TASK_DISPATCHED: TaskRequest(
        dispatch_id="d-1",
        reply_to="agent.results.3",
        attempt=2,
        created_at=1_700_000_000,
        request="Größe der Würfel 🎲",
        item=item("b", "a", output_artifacts=["src/"]),
        parents=(COMMIT,),
        writable=("src/",),
    ),
    EventType.TASK_FINISHED: TaskOutcome(
        dispatch_id="d-1",
        execution_id="e-1",
        worker_id="w-1",
        status="failed",
        verdict="failed",
        tests=TestSummary(passed=1, failed=2, coverage_percent=87.5),
        error=TaskError(code="timeout", message="line 1\nline 2"),
        usage=Usage(model_calls=1, cost_usd=0.25),
        seconds=1.5,
    ),
    EventType.WORKER_HEARTBEAT: Heartbeat(
        worker_id="w-1",
        host="h",
        pid=1,
        roles=("coder",),
        streams=("agent.requests.coder",),
        slots=2,
        sequence=7,
        executions=(Execution(dispatch_id="d-1", execution_id="e-1", started=True),),
    ),
    EventType.WORKER_LEFT: WorkerLeft(worker_id="w-1", reason="died", handed_back=("d-1",), logs="boom"),
    EventType.WORKER_CONTROL: Control(acknowledged=("e-1",), recalled=("d-2",)),
    EventType.MESSAGE_DEAD_LETTERED: DeadLetteredMessage(
        stream="agent.results.3", reason="not JSON", raw_base64="AAE="
    ),
    EventType.WORKFLOW_CHANGED: WorkflowNotice(workflow_id="wf-1", status="running"),
    EventType.COMMAND_ADDED: CommandNotice(command_id="c-1"),
    EventType.STEP_TAKEN: StepTaken(
        role="coder",
        number=3,
        most=60,
        calls=(CallTaken(tool="edit", target="src/größe.py", refused=True),),
        note="no call",
    ),
    EventType.SANDBOX_REQUESTED: SandboxOrder(
        request_id="r-1",
        caller_id="w-1",
        deadline=1_700_000_060.5,
        remaining_seconds=60,
        argv=("python", "größe.py"),
        env={"A": "1"},
        limits=SandboxBounds(
            wall_seconds=1.5,
            memory_mb=64,
            processes=8,
            cpus=0.5,
            output_bytes=1_000,
            disk_mb=8,
            file_count=10,
        ),
        collect=("out/",),
        labels={"workflow": "wf-1"},
        stdin_size=1,
        files=(BundledFile(path="größe.py", size=2),),
        bundle_base64="eJxLTEoGAAJNASc=",
    ),
    EventType.SANDBOX_FINISHED: SandboxOutcome(
        request_id="r-1",
        host_id="h-1",
        verdict="failed",
        reason="why",
        exit_code=1,
        stdout_size=1,
        stderr_size=1,
        files=(BundledFile(path="out/x", size=1),),
        bundle_base64="eJxLTEoGAAJNASc=",
        seconds=0.5,
        backend="docker",
        isolation="container",
    ),
    EventType.SANDBOX_HEARTBEAT: SandboxHost(
        host_id="h-1",
        machine="h",
        backend="docker",
        isolation="container",
        slots=2,
        running=1,
        held=("r-1",),
        handed_back=("r-2",),
    ),
    EventType.SANDBOX_CONTROL: SandboxControl(
        caller_id="w-1", waiting=("r-1",), received=("r-2",), cancelled=("r-3",)
    ),
    EventType.WORKSPACE_ASKED: WorkspaceOrder(
        workspace_id="ws-1",
        key="0" * 64,
        caller_id="w-1",
        kind="request",
        number=1,
        part=1,
        parts=2,
        body_base64="eA==",
    ),
    EventType.WORKSPACE_ANSWERED: WorkspaceAnswer(
        workspace_id="ws-1",
        host_id="h-1",
        number=1,
        state="refused",
        part=1,
        parts=2,
        error="invalid_input",
        reason="why",
        body_base64="eA==",
    ),
}


def event(kind: EventType) -> TaskEvent[Any]:
    """An event of this type."""
    envelope: type[TaskEvent[Any]] = TaskEvent.__class_getitem__(type(DATA[kind]))  # type: ignore[assignment]
    return envelope(
        id="evt-1",
        source="/tests",
        type=kind,
        subject="b",
        time="2026-01-15T09:30:00.25Z",
        correlationid="wf-1",
        causationid="evt-0",
        workflowid="wf-1",
        taskid="b",
        attempt=2,
        data=DATA[kind],
    )
