"""The open workflows of an orchestrator in memory: applies events and collects what follows. No I/O."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from contracts.base.refs import UNVERIFIED
from contracts.messages.journal import JournalEvent, WorkflowSubmitted
from contracts.messages.payloads import Usage
from contracts.ports.artifacts import RefMove
from orchestrator.core.audit.entries import AuditEntry, shard_chain
from orchestrator.core.decide import decide
from orchestrator.core.decision import Decision
from orchestrator.core.events import Dispatch, Started, WorkflowEvent
from orchestrator.core.offers import accepted_tips
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import Batch, OutboxEntry, OutboxKind
from orchestrator.scheduling.messages import request_stream

_RELEASED = (TaskStatus.READY, TaskStatus.APPROVAL)
_FIRST_DISPATCHES = 64
"""Dispatches in one batch while none is in flight: the first task starts sooner."""
_MOST_DISPATCHES = 256
"""Dispatches in one batch."""


@dataclass(slots=True)
class Effects:
    """What must happen once the batch is committed."""

    dispatches: list[str] = field(default_factory=list)
    """Dispatch ids to publish."""
    refs: list[tuple[str, RefMove]] = field(default_factory=list)
    """(outbox entry id, move) of accepted commits."""
    recalls: list[str] = field(default_factory=list)
    """Dispatch ids that workers should stop."""
    outdated: set[str] = field(default_factory=set)
    """Request streams on which dispatches of `recalls` may lie unread."""
    merges: list[str] = field(default_factory=list)
    """Workflow ids whose commits can be merged."""
    offers: list[tuple[str, str]] = field(default_factory=list)
    """(outbox entry id, workflow id) of workflows that failed with something to offer."""
    changed: dict[str, None] = field(default_factory=dict)
    """Workflow ids that changed, in order."""


class Engine:
    """Holds the open workflows, decides on events, and orders what is ready.

    Ready tasks wait per request stream in order of priority and age (I9), so that a role without workers
    holds up no other.
    """

    def __init__(self, new_id: Callable[[], str], window: int) -> None:
        self.workflows: dict[str, Workflow] = {}
        self.in_flight: dict[str, tuple[str, str]] = {}
        """Dispatch id -> (workflow id, task id) of tasks that are dispatched."""
        self.window = window
        """How many dispatches may be in flight at once on one request stream."""
        self._new_id = new_id
        self._on_stream: Counter[str] = Counter()
        self._ready: dict[str, list[tuple[int, int, str, str]]] = {}
        self._later: list[tuple[float, int, str, str]] = []
        self._sequence = 0
        self._more_at: float | None = None
        self._effects = Effects()
        self._batch = Batch(0.0)

    def adopt(self, workflow: Workflow, monotonic: float) -> None:
        """Add a workflow as it was stored, with the dispatches that are in flight."""
        header = workflow.header
        self.workflows[header.workflow_id] = workflow
        if header.status is WorkflowStatus.MERGING:
            self._effects.merges.append(header.workflow_id)
        for task in workflow.tasks.values():
            if task.status is TaskStatus.DISPATCHED and task.dispatch_id:
                self.in_flight[task.dispatch_id] = (header.workflow_id, task.task_id)
                self._on_stream[request_stream(task)] += 1
            elif task.status is TaskStatus.READY:
                self._queue(header.workflow_id, task, 0.0, monotonic)

    def submit(
        self, workflow: Workflow, now: float, monotonic: float, *, planning: Usage | None = None
    ) -> None:
        """Start a new workflow. `planning` is what making its plan consumed."""
        header = workflow.header
        self.workflows[header.workflow_id] = workflow
        self._batch.created[header.workflow_id] = workflow
        submitted = WorkflowSubmitted(len(workflow.tasks), header.request[:300], planning)
        self._batch.journal.append((header.workflow_id, submitted))
        self.apply(header.workflow_id, Started(), now, monotonic)

    def apply(self, workflow_id: str, event: WorkflowEvent, now: float, monotonic: float) -> Decision:
        """Apply one event to a workflow in memory and collect what follows."""
        workflow = self.workflows[workflow_id]
        decision = decide(workflow, event, now)
        self._batch.shards.add(workflow.header.shard)
        if decision.refused is not None:
            return decision
        for task in decision.tasks:
            if decision.recalls and (old := workflow.tasks.get(task.task_id)) and old.dispatch_id:
                self._effects.outdated.add(request_stream(old))
            self._record_version(workflow, task, now, monotonic)
        if decision.header is not None:
            self._record_header(workflow.header, decision.header)
        had_failed = workflow.header.status is WorkflowStatus.FAILED
        workflow.evolve(decision.header, decision.tasks)
        if workflow.header.status is WorkflowStatus.FAILED and not had_failed and accepted_tips(workflow):
            self._record_offer(workflow_id)
        self._batch.journal += [(workflow_id, entry) for entry in decision.journal]
        self._batch.audit += [(shard_chain(workflow.header.shard), entry) for entry in decision.audit]
        self._effects.recalls += decision.recalls
        self._effects.changed[workflow_id] = None
        return decision

    def record(self, workflow_id: str, entry: JournalEvent) -> None:
        """Add an entry to the journal that changes no workflow."""
        self._batch.shards.add(shard_of(workflow_id))
        self._batch.journal.append((workflow_id, entry))

    def note(self, workflow_id: str, entry: AuditEntry) -> None:
        """Add an entry to the audit log, in the chain of the workflow's shard."""
        self._batch.shards.add(shard_of(workflow_id))
        self._batch.audit.append((shard_chain(shard_of(workflow_id)), entry))

    def _record_offer(self, workflow_id: str) -> None:
        entry = OutboxEntry(f"offer-{self._new_id()}", OutboxKind.REF, workflow_id, UNVERIFIED)
        self._effects.offers.append((entry.entry_id, workflow_id))
        self._batch.outbox.append(entry)

    def _record_header(self, old: Header, new: Header) -> None:
        batch, name = self._batch, new.workflow_id
        known = name in batch.created or (name in batch.headers and name not in batch.count_only)
        counted = old.status is new.status is WorkflowStatus.RUNNING and old.budget is new.budget
        if not known and counted:
            batch.count_only.add(name)
        else:
            batch.count_only.discard(name)
        batch.headers[name] = new
        if new.status is WorkflowStatus.MERGING:
            self._effects.merges.append(name)

    def _record_version(self, workflow: Workflow, task: TaskState, now: float, monotonic: float) -> None:
        workflow_id, key = workflow.header.workflow_id, (workflow.header.workflow_id, task.task_id)
        old = workflow.tasks.get(task.task_id)
        if not self._is_released(key, old, task):
            self._record_extent(key, old, task)
            self._batch.tasks[key] = task
        if old is None:
            self._batch.added[key] = len(workflow.tasks) + sum(
                1 for name, _ in self._batch.added if name == workflow_id
            )
        elif old.status is TaskStatus.DISPATCHED and old.dispatch_id:
            del self.in_flight[old.dispatch_id]
            self._on_stream[request_stream(old)] -= 1
            if task.commit and task.status.terminal:
                self._effects.refs.append((f"ref-{old.dispatch_id}", RefMove(*key, task.commit)))
                self._batch.outbox.append(
                    OutboxEntry(f"ref-{old.dispatch_id}", OutboxKind.REF, *key, task.commit)
                )
        if task.status is TaskStatus.DISPATCHED and task.dispatch_id:
            self.in_flight[task.dispatch_id] = key
            self._on_stream[request_stream(task)] += 1
            self._effects.dispatches.append(task.dispatch_id)
            self._batch.outbox.append(OutboxEntry(task.dispatch_id, OutboxKind.DISPATCH, *key))
        elif task.status is TaskStatus.READY:
            self._queue(workflow_id, task, max(0.0, task.not_before - now), monotonic)

    def _is_released(self, key: tuple[str, str], old: TaskState | None, task: TaskState) -> bool:
        """Whether the only change since the last commit is that the task waits for no other any more."""
        was_waiting = old is not None and old.status is TaskStatus.WAITING
        return was_waiting and task.status in _RELEASED and key not in self._batch.tasks

    def _record_extent(self, key: tuple[str, str], old: TaskState | None, task: TaskState) -> None:
        """Mark how this version differs from the stored one."""
        batch = self._batch
        stored = key not in batch.tasks
        batch.dispatch_only.discard(key)
        batch.success_only.discard(key)
        more = task.allowance or task.approval or task.granted
        if stored and task.status is TaskStatus.DISPATCHED and more is None:
            batch.dispatch_only.add(key)
        elif stored and task.status is TaskStatus.SUCCEEDED and old is not None:
            batch.success_only.add(key)

    def _queue(self, workflow_id: str, task: TaskState, wait: float, monotonic: float) -> None:
        self._sequence += 1
        if wait > 0:
            heapq.heappush(self._later, (monotonic + wait, self._sequence, workflow_id, task.task_id))
        else:
            waiting = self._ready.setdefault(request_stream(task), [])
            heapq.heappush(waiting, (-task.item.priority, self._sequence, workflow_id, task.task_id))

    def dispatch_ready(self, now: float, monotonic: float) -> None:
        """Dispatch ready tasks within the window, not all in one batch, so that the first start sooner."""
        left = _MOST_DISPATCHES if self.in_flight else _FIRST_DISPATCHES
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
        """Whether this dispatch is in flight and must run alone."""
        place = self.in_flight.get(dispatch_id)
        return place is not None and self.workflows[place[0]].tasks[place[1]].suspect

    def next_timer(self) -> float | None:
        """When `dispatch_ready` has more to do, on the monotonic clock."""
        if self._more_at is not None:
            return self._more_at
        return self._later[0][0] if self._later else None

    def flush(self, now: float) -> tuple[Batch, Effects]:
        """Return what was collected since the last call, and start a new batch."""
        batch, effects = self._batch, self._effects
        batch.now = now
        self._batch, self._effects = Batch(0.0), Effects()
        return batch, effects

    @property
    def pending(self) -> Batch:
        """The batch that is being collected, for additions from outside."""
        return self._batch

    def drop_ended(self, workflow_ids: Iterable[str]) -> None:
        """Remove those of these workflows that have ended, once that is committed."""
        for workflow_id in workflow_ids:
            workflow = self.workflows.get(workflow_id)
            if workflow is not None and workflow.header.status.terminal:
                del self.workflows[workflow_id]
