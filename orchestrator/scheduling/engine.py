"""All open workflows of an owner in memory: applies inputs and gathers what follows. No I/O."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from contracts.messages.journal import JournalEvent, WorkflowSubmitted
from contracts.ports.artifacts import RefMove
from orchestrator.core.decide import decide
from orchestrator.core.decision import Decision
from orchestrator.core.events import Dispatch, Started, WorkflowEvent
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import Batch, OutboxEntry
from orchestrator.scheduling.messages import request_stream

_RELEASED = (TaskStatus.READY, TaskStatus.APPROVAL)
_AT_FIRST, _AT_ONCE = 64, 256
"""Dispatches in one batch, when nobody works yet and else."""


@dataclass(slots=True)
class Effects:
    """What must happen once the batch is committed."""

    dispatches: list[str] = field(default_factory=list)
    refs: list[tuple[str, RefMove]] = field(default_factory=list)
    recalls: list[str] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    changed: dict[str, None] = field(default_factory=dict)


class Engine:
    """The owner's memory.

    window: how many dispatches may be out at once on one request stream; the rest waits here, in order of
    priority and age (I9). A role that nobody serves holds up no other.
    """

    def __init__(self, new_id: Callable[[], str], window: int) -> None:
        self.workflows: dict[str, Workflow] = {}
        self.out: dict[str, tuple[str, str]] = {}
        self.window = window
        self._new_id = new_id
        self._on_stream: Counter[str] = Counter()
        self._ready: dict[str, list[tuple[int, int, str, str]]] = {}
        self._later: list[tuple[float, int, str, str]] = []
        self._sequence = 0
        self._more_at: float | None = None
        self._effects = Effects()
        self._batch = Batch(0.0)

    def adopt(self, workflow: Workflow, monotonic: float) -> None:
        """Take over a workflow as it was stored, with all that is under way in it."""
        header = workflow.header
        self.workflows[header.workflow_id] = workflow
        if header.status is WorkflowStatus.MERGING:
            self._effects.merges.append(header.workflow_id)
        for task in workflow.tasks.values():
            if task.status is TaskStatus.DISPATCHED and task.dispatch_id:
                self.out[task.dispatch_id] = (header.workflow_id, task.task_id)
                self._on_stream[request_stream(task)] += 1
            elif task.status is TaskStatus.READY:
                self._queue(header.workflow_id, task, 0.0, monotonic)

    def submit(self, workflow: Workflow, now: float, monotonic: float) -> None:
        """Start a new workflow."""
        header = workflow.header
        self.workflows[header.workflow_id] = workflow
        self._batch.created[header.workflow_id] = workflow
        submitted = WorkflowSubmitted(len(workflow.tasks), header.request[:300])
        self._batch.journal.append((header.workflow_id, submitted))
        self.apply(header.workflow_id, Started(), now, monotonic)

    def apply(self, workflow_id: str, event: WorkflowEvent, now: float, monotonic: float) -> Decision:
        """Apply one input to a workflow in memory and remember what follows."""
        workflow = self.workflows[workflow_id]
        decision = decide(workflow, event, now)
        self._batch.shards.add(workflow.header.shard)
        if decision.refused is not None:
            return decision
        for task in decision.tasks:
            self._note_version(workflow, task, now, monotonic)
        if decision.header is not None:
            self._note_header(workflow.header, decision.header)
        workflow.evolve(decision.header, decision.tasks)
        self._batch.journal += [(workflow_id, entry) for entry in decision.journal]
        self._effects.recalls += decision.recalls
        self._effects.changed[workflow_id] = None
        return decision

    def record(self, workflow_id: str, entry: JournalEvent) -> None:
        """Journal something that changed nothing."""
        self._batch.shards.add(shard_of(workflow_id))
        self._batch.journal.append((workflow_id, entry))

    def _note_header(self, old: Header, new: Header) -> None:
        batch, name = self._batch, new.workflow_id
        known = name in batch.created or (name in batch.headers and name not in batch.counted)
        if not known and old.status is new.status is WorkflowStatus.RUNNING:
            batch.counted.add(name)
        else:
            batch.counted.discard(name)
        batch.headers[name] = new
        if new.status is WorkflowStatus.MERGING:
            self._effects.merges.append(name)

    def _note_version(self, workflow: Workflow, task: TaskState, now: float, monotonic: float) -> None:
        workflow_id, key = workflow.header.workflow_id, (workflow.header.workflow_id, task.task_id)
        old = workflow.tasks.get(task.task_id)
        if not self._is_released(key, old, task):
            self._note_extent(key, old, task)
            self._batch.tasks[key] = task
        if old is None:
            self._batch.added[key] = len(workflow.tasks) + sum(
                1 for name, _ in self._batch.added if name == workflow_id
            )
        elif old.status is TaskStatus.DISPATCHED and old.dispatch_id:
            del self.out[old.dispatch_id]
            self._on_stream[request_stream(old)] -= 1
            if task.commit and task.status.terminal:
                self._effects.refs.append((f"ref-{old.dispatch_id}", RefMove(*key, task.commit)))
                self._batch.outbox.append(OutboxEntry(f"ref-{old.dispatch_id}", "ref", *key, task.commit))
        if task.status is TaskStatus.DISPATCHED and task.dispatch_id:
            self.out[task.dispatch_id] = key
            self._on_stream[request_stream(task)] += 1
            self._effects.dispatches.append(task.dispatch_id)
            self._batch.outbox.append(OutboxEntry(task.dispatch_id, "dispatch", *key))
        elif task.status is TaskStatus.READY:
            self._queue(workflow_id, task, max(0.0, task.not_before - now), monotonic)

    def _is_released(self, key: tuple[str, str], old: TaskState | None, task: TaskState) -> bool:
        """Whether all that has changed since the last commit is that it need wait for no other any more."""
        was_waiting = old is not None and old.status is TaskStatus.WAITING
        return was_waiting and task.status in _RELEASED and key not in self._batch.tasks

    def _note_extent(self, key: tuple[str, str], old: TaskState | None, task: TaskState) -> None:
        """How much of the stored version differs from this one."""
        batch = self._batch
        stored = key not in batch.tasks
        batch.sent.discard(key)
        batch.done.discard(key)
        if stored and task.status is TaskStatus.DISPATCHED:
            batch.sent.add(key)
        elif stored and task.status is TaskStatus.SUCCEEDED and old is not None:
            batch.done.add(key)

    def _queue(self, workflow_id: str, task: TaskState, wait: float, monotonic: float) -> None:
        self._sequence += 1
        if wait > 0:
            heapq.heappush(self._later, (monotonic + wait, self._sequence, workflow_id, task.task_id))
        else:
            waiting = self._ready.setdefault(request_stream(task), [])
            heapq.heappush(waiting, (-task.item.priority, self._sequence, workflow_id, task.task_id))

    def fill(self, now: float, monotonic: float) -> None:
        """Dispatch ready tasks while there is room, some at once: the first need not wait for the last."""
        left = _AT_ONCE if self.out else _AT_FIRST
        while self._later and self._later[0][0] <= monotonic:
            _, _, workflow_id, task_id = heapq.heappop(self._later)
            task = self._task(workflow_id, task_id)
            if task is not None:
                self._queue(workflow_id, task, 0.0, monotonic)
        for stream, waiting in self._ready.items():
            while waiting and self._on_stream[stream] < self.window and left:
                _, _, workflow_id, task_id = heapq.heappop(waiting)
                task = self._task(workflow_id, task_id)
                if task is not None and task.status is TaskStatus.READY:
                    self.apply(workflow_id, Dispatch(task_id, self._new_id()), now, monotonic)
                    left -= 1
        self._more_at = None if left else monotonic

    def _task(self, workflow_id: str, task_id: str) -> TaskState | None:
        workflow = self.workflows.get(workflow_id)
        return workflow.tasks.get(task_id) if workflow else None

    def is_suspect(self, dispatch_id: str) -> bool:
        """Whether this dispatch is out, to be run alone."""
        place = self.out.get(dispatch_id)
        return place is not None and self.workflows[place[0]].tasks[place[1]].suspect

    def next_timer(self) -> float | None:
        """When `fill` has more to do, on the monotonic clock."""
        if self._more_at is not None:
            return self._more_at
        return self._later[0][0] if self._later else None

    def flush(self, now: float) -> tuple[Batch, Effects]:
        """Hand out what has gathered since the last call."""
        batch, effects = self._batch, self._effects
        batch.now = now
        self._batch, self._effects = Batch(0.0), Effects()
        return batch, effects

    @property
    def pending(self) -> Batch:
        """The batch that is being gathered, for what the owner adds to it."""
        return self._batch

    def drop_ended(self, workflow_ids: Iterable[str]) -> None:
        """Forget workflows that have ended, once that is committed."""
        for workflow_id in workflow_ids:
            workflow = self.workflows.get(workflow_id)
            if workflow is not None and workflow.header.status.terminal:
                del self.workflows[workflow_id]
