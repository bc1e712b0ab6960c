"""Explains what each unfinished task waits for and why others failed, from observations alone. Pure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.base.text import flowing
from contracts.messages.journal import JournalEvent, TaskDelayed, TaskPassedOn, TaskRetrying, UnknownEvent
from orchestrator.core.budgets import waits_for_budget
from orchestrator.core.state import TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.messages import request_stream


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a task, or the whole workflow, has not ended, or has ended without success."""

    task_id: str | None
    """None for the whole workflow."""
    code: str
    """For programs."""
    text: str
    """For people."""
    do: str = ""
    """A command that does something about it; "" where there is none, or nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that named a dispatch in its heartbeat."""

    worker_id: str
    started: bool
    """False while the dispatch waits for a free slot, or for an orchestrator's word that it is current."""


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known around a workflow.

    `out` and `ready` count the tasks of this workflow and of all workflows that have a dispatched task.
    """

    now: float
    """Seconds since 1970."""
    slots: Mapping[str, int] = field(default_factory=dict)
    """Slots of the workers that have not left, free or not, by request stream."""
    out: Mapping[str, int] = field(default_factory=Counter)
    """Dispatched tasks by request stream."""
    ready: Mapping[str, int] = field(default_factory=Counter)
    """Ready tasks by request stream."""
    delays: Mapping[str, JournalEvent | UnknownEvent] = field(default_factory=dict)
    """The event that put a task off or passed it on last, by task."""
    commands: tuple[tuple[str, float], ...] = ()
    """Kind and time, in seconds since 1970, of the commands that were not applied yet."""
    holders: Mapping[str, Holder] = field(default_factory=dict)
    """By dispatch."""
    orchestrator_alive: bool | None = None
    """None when it is not known."""


def explain(workflow: Workflow | None, around: Observations) -> list[Reason]:
    """Reasons for the whole workflow, then one for each task that has not succeeded, in plan order."""
    reasons = [
        Reason(None, "command_queued", f"`{kind}` has waited for an orchestrator since {_clock(at)}")
        for kind, at in around.commands
    ]
    unfinished = workflow is None or not workflow.header.status.terminal
    if around.orchestrator_alive is False and (unfinished or reasons):
        reasons.append(
            Reason(None, "no_orchestrator", "no orchestrator is alive: none has renewed its lease meanwhile")
        )
    if workflow is None:
        return reasons
    if workflow.header.status is WorkflowStatus.MERGING:
        reasons.append(Reason(None, "merging", "every task succeeded; the outcomes are being merged"))
    ended_badly = {TaskStatus.FAILED, TaskStatus.DEAD, TaskStatus.CANCELLED}
    if workflow.header.reason and not any(task.status in ended_badly for task in workflow.tasks.values()):
        reasons.append(Reason(None, workflow.header.status.value, workflow.header.reason))
    for task in workflow.tasks.values():
        if task.status is not TaskStatus.SUCCEEDED:
            code, text = _of_task(workflow, task, around)
            reasons.append(Reason(task.task_id, code, text))
    return reasons


def _of_task(workflow: Workflow, task: TaskState, around: Observations) -> tuple[str, str]:
    match task.status:
        case TaskStatus.WAITING:
            return "dependency", _dependencies(workflow, task, around)
        case TaskStatus.BLOCKED:
            return "blocked", _blocker(workflow, task)
        case TaskStatus.APPROVAL | TaskStatus.ANSWER | TaskStatus.BUDGET:
            return _person(workflow, task)
        case TaskStatus.READY:
            return _ready(task, around)
        case TaskStatus.DISPATCHED:
            return _dispatched(task, around)
        case _:
            return _ended(task)


def _person(workflow: Workflow, task: TaskState) -> tuple[str, str]:
    if task.status is TaskStatus.BUDGET:
        return "budget", f"waits for budget: {waits_for_budget(workflow, task)}"
    if task.question is None:
        return "approval", "waits for approval"
    return "answer", f"asks a person: {flowing(task.question.text)}"


def _ended(task: TaskState) -> tuple[str, str]:
    what = task.status.value.replace("_", "-")
    if task.error is None:
        return task.status.value, f"is {what}"
    return task.error.code, f"is {what}: {task.error.message}"


def _dependencies(workflow: Workflow, task: TaskState, around: Observations) -> str:
    names = [name for name in task.dependencies if not _succeeded(workflow, name)]
    root = workflow.tasks.get(names[0])
    while root is not None and root.status is TaskStatus.WAITING:
        further = [name for name in root.dependencies if not _succeeded(workflow, name)]
        root = workflow.tasks.get(further[0]) if further else None
    what = f"waits for {', '.join(names)}"
    if root is None or root.status.terminal:
        return what
    which = "which" if root.task_id == names[0] else f"which waits for {root.task_id}, which"
    code, text = _of_task(workflow, root, around)
    return f"{what}, {which} is ready and {text}" if code == "no_worker" else f"{what}, {which} {text}"


def _succeeded(workflow: Workflow, name: str) -> bool:
    need = workflow.tasks.get(name)
    return need is not None and need.status is TaskStatus.SUCCEEDED


def _blocker(workflow: Workflow, task: TaskState) -> str:
    queue, seen = list(task.dependencies), set(task.dependencies)
    while queue:
        need = workflow.tasks.get(queue.pop(0))
        if need is None or need.status is TaskStatus.SUCCEEDED:
            continue
        if need.status.terminal and need.status is not TaskStatus.BLOCKED:
            error = f": {need.error.message.splitlines()[0]}" if need.error and need.error.message else ""
            return f"is blocked by {need.task_id}, which is {need.status.value.replace('_', '-')}{error}"
        queue += [name for name in need.dependencies if name not in seen]
        seen.update(need.dependencies)
    return "is blocked; by what is unknown"


def _ready(task: TaskState, around: Observations) -> tuple[str, str]:
    if task.not_before > around.now:
        return _delayed(task, around)
    stream = request_stream(task)
    if (missing := _no_worker(task, around)) is not None:
        return missing
    out, slots = around.out.get(stream, 0), around.slots[stream]
    if out >= slots:
        more = around.ready.get(stream, 0)
        text = f"all {slots} slots of role {_role(task)} are busy: {out} dispatched, {more} more ready"
        return "busy", text
    if task.suspect:
        return "suspect", "was held by a worker that died, and waits to run alone"
    return "unknown", "is ready; why it is not dispatched is unknown"


def _delayed(task: TaskState, around: Observations) -> tuple[str, str]:
    delay = around.delays.get(task.task_id)
    message = delay.message if isinstance(delay, TaskDelayed | TaskRetrying) else ""
    if not message and task.error:
        message = task.error.message
    after = f" after: {message.splitlines()[0]}" if message else ""
    if isinstance(delay, TaskDelayed):
        return "outage", f"waits out an outage (number {task.outages}) until {_clock(task.not_before)}{after}"
    return "retry", f"is tried again at {_clock(task.not_before)}{after}"


def _dispatched(task: TaskState, around: Observations) -> tuple[str, str]:
    since = f"since {_clock(task.dispatched_at)}"
    holder = around.holders.get(task.dispatch_id or "")
    if holder is not None and holder.started:
        return "running", f"is run by worker {holder.worker_id}, dispatched {since}"
    if holder is not None:
        return "busy", f"waits for a free slot of worker {holder.worker_id} {since}"
    if (missing := _no_worker(task, around)) is not None:
        return missing
    passed_on = around.delays.get(task.task_id)
    if isinstance(passed_on, TaskPassedOn) and passed_on.dispatch_id == task.dispatch_id:
        text = f"worker {passed_on.silent_worker_id} is silent; what it held was given to others"
        return "passed_on", f"is dispatched {since}; {text}"
    stream = request_stream(task)
    out, slots = around.out.get(stream, 0), around.slots[stream]
    if out > slots:
        text = f"is dispatched {since}; {out} dispatches of role {_role(task)} share {slots} slots"
        return "busy", text
    return "dispatched", f"is dispatched {since}; which worker holds it is unknown"


def _no_worker(task: TaskState, around: Observations) -> tuple[str, str] | None:
    if around.slots.get(request_stream(task)):
        return None
    return "no_worker", f"no worker serves role {_role(task)}"


def _role(task: TaskState) -> str:
    tag = task.item.required_tag
    return f"{task.item.agent_role} with {tag}" if tag else task.item.agent_role


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
