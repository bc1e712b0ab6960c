"""The invariants, as checks of facts that were read at one moment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contracts.base.refs import RESULT, UNVERIFIED
from contracts.messages.payloads import Heartbeat
from orchestrator.core.state import TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.messages import request_stream


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold."""

    promise: str
    """Its name in ARCHITECTURE.md: I1, I2, ..."""
    workflow_id: str | None
    task_id: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says in one snapshot. Tasks are named by (workflow id, task id)."""

    at: float
    """When it was read, in seconds since 1970."""
    workflows: Mapping[str, Workflow]
    succeeded: Mapping[tuple[str, str], list[int]]
    """Journal sequences of each task's `task.succeeded` entries."""
    dispatched: Mapping[tuple[str, str], int]
    """Journal sequence of each task's first dispatch."""
    to_publish: frozenset[str]
    """Dispatches that wait in the outbox."""
    to_move: frozenset[tuple[str, str]]
    """Tasks whose branch is still to be moved."""
    renewals: int
    """Grows while an orchestrator lives."""

    @property
    def tasks(self) -> Iterator[tuple[Workflow, TaskState]]:
        """Every task with its workflow."""
        for workflow in self.workflows.values():
            for task in workflow.tasks.values():
                yield workflow, task

    @property
    def open_tasks(self) -> Iterator[tuple[Workflow, TaskState]]:
        """Tasks that have not ended, of workflows that have not either."""
        for workflow, task in self.tasks:
            if not task.status.terminal and not workflow.header.status.terminal:
                yield workflow, task


@dataclass(frozen=True, slots=True)
class Sightings:
    """Where dispatches were seen."""

    on_streams: frozenset[str]
    """Dispatch ids on request and result streams."""
    requests: Counter[str]
    """Entries of each request stream."""
    heard: Mapping[str, list[Heartbeat]]
    """Heartbeats by worker, oldest first."""


@dataclass(frozen=True, slots=True)
class Refs:
    """What Git holds."""

    accepted: Mapping[tuple[str, str], str]
    """The commit of each branch of an accepted outcome, by (workflow id, task id)."""
    misplaced: Mapping[tuple[str, str], str]
    """What is wrong with the metadata refs beside the branches, by (workflow id, task id)."""
    incomplete: Mapping[str, str]
    """Why the result of a completed workflow is not whole, by workflow."""
    damage: tuple[str, ...]
    """Problems of the store itself."""


def check_state(facts: Facts) -> Iterator[Violation]:
    """I1, from the rows alone: counts agree, and each waiting task waits for one that can still succeed."""
    for name, workflow in facts.workflows.items():
        header = workflow.header
        still_open = sum(1 for task in workflow.tasks.values() if not task.status.terminal)
        if header.open_tasks != still_open:
            yield Violation(
                "I1", name, None, f"{still_open} tasks are open, the header says {header.open_tasks}"
            )
        if header.status.terminal and still_open:
            yield Violation("I1", name, None, f"the workflow is {header.status}, {still_open} tasks are open")
        if header.status is WorkflowStatus.RUNNING and not still_open:
            yield Violation("I1", name, None, "every task has ended, and the workflow has not")
    for workflow, task in facts.open_tasks:
        if task.status is TaskStatus.WAITING and (why := _why_never_ready(workflow, task)):
            yield Violation("I1", workflow.header.workflow_id, task.task_id, why)


def _why_never_ready(workflow: Workflow, task: TaskState) -> str | None:
    needs = [workflow.tasks.get(name) for name in task.dependencies]
    if any(need is None for need in needs):
        return "waits for a task that does not exist"
    ended = [need for need in needs if need and need.status.terminal]
    dead = [need.task_id for need in ended if need.status is not TaskStatus.SUCCEEDED]
    return f"waits for {dead[0]}, which has ended without success" if dead else None


def check_hands(facts: Facts, seen: Sightings) -> Iterator[Violation]:
    """I1: every dispatch is in the outbox, on a stream, or held by a worker."""
    beats = (one for heartbeats in seen.heard.values() for one in heartbeats)
    held = {execution.dispatch_id for beat in beats for execution in beat.executions}
    found = facts.to_publish | seen.on_streams | held
    for workflow, task in facts.open_tasks:
        if task.status is TaskStatus.DISPATCHED and task.dispatch_id not in found:
            message = f"dispatch {task.dispatch_id} is in no outbox, on no stream and held by no worker"
            yield Violation("I1", workflow.header.workflow_id, task.task_id, message)


def may_be_stuck(facts: Facts) -> Iterator[tuple[str, TaskState]]:
    """(workflow id, task) of what could be dispatched now. Suspects are left out: they wait to run alone."""
    for workflow, task in facts.open_tasks:
        if task.status is TaskStatus.READY and task.not_before <= facts.at and not task.suspect:
            yield workflow.header.workflow_id, task


def check_stuck(before: Facts, after: Facts, seen: Sightings) -> Iterator[Violation]:
    """I1: no task stays ready while an orchestrator lives and a worker that serves it is idle."""
    if after.renewals <= before.renewals:
        return
    idle = {
        stream
        for beats in seen.heard.values()
        if all(len(beat.executions) < beat.slots for beat in beats)
        for stream in beats[-1].streams
        if not seen.requests[stream]
    }
    earlier = {(name, task.task_id): task for name, task in may_be_stuck(before)}
    for name, task in may_be_stuck(after):
        if earlier.get((name, task.task_id)) == task and request_stream(task) in idle:
            message = "ready, and not dispatched while a worker that serves it was idle"
            yield Violation("I1", name, task.task_id, message)


def check_unmoved(before: Facts, after: Facts) -> Iterator[Violation]:
    """I2: the branch of an accepted outcome is moved soon, as long as an orchestrator lives."""
    if after.renewals > before.renewals:
        for workflow_id, task_id in sorted(before.to_move & after.to_move):
            message = "an accepted commit waits in the outbox, and its branch was not moved"
            yield Violation("I2", workflow_id, task_id, message)


def check_journal(facts: Facts) -> Iterator[Violation]:
    """I2 and I6: one success a task, one task a dispatch, and no dispatch before what it depends on."""
    dispatches: dict[str, str] = {}
    for workflow, task in facts.tasks:
        name = workflow.header.workflow_id
        key = (name, task.task_id)
        count, expected = len(facts.succeeded.get(key, ())), int(task.status is TaskStatus.SUCCEEDED)
        if count != expected:
            yield Violation("I2", *key, f"task is {task.status}, the journal has it succeed {count} times")
        if task.dispatch_id:
            other = dispatches.setdefault(task.dispatch_id, f"{name}/{task.task_id}")
            if other != f"{name}/{task.task_id}":
                yield Violation("I2", *key, f"dispatch {task.dispatch_id} is also that of {other}")
        if (at := facts.dispatched.get(key)) is not None:
            for need in task.dependencies:
                if not any(sequence < at for sequence in facts.succeeded.get((name, need), ())):
                    yield Violation("I6", *key, f"was dispatched before {need} had succeeded")


def check_git(facts: Facts, refs: Refs) -> Iterator[Violation]:
    """I2, I3 and I6: branches point where the database says, results are whole, objects are sound."""
    for workflow, task in facts.tasks:
        key = (workflow.header.workflow_id, task.task_id)
        if task.status is not TaskStatus.SUCCEEDED or not task.commit or key in facts.to_move:
            continue
        if (there := refs.accepted.get(key)) != task.commit:
            yield Violation("I3", *key, f"the branch is at {there or 'nothing'}, accepted was {task.commit}")
        elif key in refs.misplaced:
            yield Violation("I3", *key, refs.misplaced[key])
    for name, workflow in facts.workflows.items():
        if workflow.header.status is WorkflowStatus.COMPLETED:
            for message in _wrong_with_result(name, workflow, refs):
                yield Violation("I2", name, None, message)
    for line in refs.damage:
        yield Violation("I6", None, None, f"git fsck: {line}")


def _wrong_with_result(name: str, workflow: Workflow, refs: Refs) -> Iterator[str]:
    there, accepted = refs.accepted.get((name, RESULT)), workflow.header.result_commit
    if there != accepted:
        yield f"the result is at {there or 'nothing'}, not {accepted}"
    if UNVERIFIED not in workflow.tasks and (name, UNVERIFIED) in refs.accepted:
        yield "it is completed, and unverified work is still offered"
    if name in refs.incomplete:
        yield refs.incomplete[name]
