"""From the journal of a workflow to spans: the workflow, its tasks, attempts, decisions and waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from contracts.messages import journal as j
from contracts.messages.approval_events import ApprovalAsked, ApprovalUsed, TaskApproved, TaskRejected
from contracts.messages.budget_events import BudgetRaised, TaskOutOfBudget, TaskResumed
from contracts.messages.payloads import Usage
from multi_agent.telemetry.tracing import conventions as c
from multi_agent.telemetry.tracing.spans import (
    ATTEMPT,
    CHECKPOINT,
    DECISION,
    TASK,
    WAIT,
    WORKFLOW,
    Attribute,
    Span,
    SpanStatus,
    span_id_of,
    trace_id_of,
)

_ENDED_WITHOUT: Final = "the workflow ended first"
_WAITS: Final[Mapping[type, str]] = {
    TaskOutOfBudget: "budget",
    j.TaskSuspended: "question",
    ApprovalAsked: "approval",
}
"""What a task waits for after an event."""
_GOES_ON: Final = (j.TaskAnswered, TaskResumed, TaskApproved, TaskRejected)
_DECISIONS: Final = (j.TaskToBeFixed, j.TaskNeedsPlan, j.TaskPlanned, j.TaskContested)
_BAD_ENDS: Final = (j.TaskRetrying, j.TaskDelayed, j.TaskFailed, j.TaskDeadLettered)


class JournalFact(NamedTuple):
    """An entry of the journal."""

    sequence: int
    at: float
    """Seconds since 1970."""
    kind: str
    event: j.JournalEvent | j.UnknownEvent


class JournalSpans:
    """Reads entries in their order. Nothing is asked but the entries: the same ones make the same spans."""

    def __init__(self, workflow_id: str, roles: Mapping[str, str]) -> None:
        """roles: by task id."""
        self._workflow_id, self._roles = workflow_id, roles
        self.spans: list[Span] = []
        """The first is the root."""
        self.problems: list[str] = []
        self._tasks: dict[str, Span] = {}
        self._attempts: dict[str, Span] = {}
        """Those that go on, by task id."""
        self._waits: dict[str, Span] = {}
        self._merge: Span | None = None

    def read(self, facts: Iterable[JournalFact]) -> None:
        """Read entries that follow those that were read."""
        for fact in facts:
            self._read(fact)

    @property
    def root(self) -> Span | None:
        """The workflow's span, None before the first entry."""
        return self.spans[0] if self.spans else None

    def _read(self, fact: JournalFact) -> None:
        number, at, event = fact.sequence, fact.at, fact.event
        root = self.root or self._new(WORKFLOW, at, None, ())
        if isinstance(event, j.UnknownEvent):
            self.problems.append(f"the journal has a {fact.kind!r}, which this release does not know")
        elif isinstance(event, j.TaskDispatched):
            self._dispatched(event, at)
        elif isinstance(event, j.TaskPassedOn):
            attempt = self._attempt(event.task_id, event.attempt, at)
            attempt.attributes[c.HOPS] = int(attempt.attributes[c.HOPS]) + 1
        elif isinstance(event, _DECISIONS):
            self._decided(event, fact.kind, at, number)
        elif isinstance(event, (*_WAITS, *_GOES_ON)):
            self._waiting(event, at, number)
        elif hasattr(event, "task_id") and not isinstance(
            event, j.WorkflowRetried | j.OutcomeRefused | ApprovalUsed
        ):
            self._ended(event, at)
        else:
            self._of_workflow(root, event, at)

    def _of_workflow(self, root: Span, event: j.JournalEvent, at: float) -> None:
        if isinstance(event, j.WorkflowSubmitted) and event.planning is not None:
            planning = self._new(DECISION, at, root, ("planning",), at)
            planning.attributes |= {c.DECISION_KIND: "plan", c.TIME_KNOWN: False, **usage(event.planning)}
        elif isinstance(event, j.WorkflowMerging):
            self._merge = self._new(CHECKPOINT, at, root, ("merge", self._retries))
        elif isinstance(event, j.WorkflowCompleted):
            self._end_all(root, at, SpanStatus.OK, "")
        elif isinstance(event, j.WorkflowFailed):
            self._end_all(root, at, SpanStatus.ERROR, event.reason)
        elif isinstance(event, j.WorkflowCancelled):
            self._end_all(root, at, SpanStatus.ERROR, f"cancelled by {event.person}")
        elif isinstance(event, j.WorkflowRetried):
            root.end, root.status, root.message = None, SpanStatus.UNSET, ""
            root.attributes[c.RETRIES] = self._retries + 1
        elif isinstance(event, j.OutcomeRefused):
            root.attributes[c.REFUSED_OUTCOMES] = int(root.attributes.get(c.REFUSED_OUTCOMES, 0)) + 1
        elif isinstance(event, BudgetRaised):
            root.attributes["multi_agent.budget_raised"] = True

    @property
    def _retries(self) -> int:
        return int(self.spans[0].attributes.get(c.RETRIES, 0))

    def _end_all(self, root: Span, at: float, status: SpanStatus, message: str) -> None:
        left = [*self._attempts.values(), *self._waits.values()]
        left += [task for task in self._tasks.values() if task.end is None]
        for span in left:
            span.close(at, SpanStatus.UNSET, _ENDED_WITHOUT)
        self._attempts.clear()
        self._waits.clear()
        if self._merge is not None:
            self._merge.close(at, status, message)
            self._merge = None
        root.close(at, status, message)

    def _dispatched(self, event: j.TaskDispatched, at: float) -> None:
        task = self._task(event.task_id, at)
        task.end, task.status, task.message = None, SpanStatus.UNSET, ""
        if (before := self._attempts.pop(event.task_id, None)) is not None:
            # One that waited for a budget which was there in the same moment leaves no entry of its end.
            before.close(at)
            before.attributes[c.OUTCOME] = "suspended"
        attempt = self._attempt(event.task_id, event.attempt, at)
        attempt.attributes[c.DISPATCH_ID] = event.dispatch_id

    def _attempt(self, task_id: str, number: int, at: float) -> Span:
        """The attempt that goes on, or a new one."""
        found = self._attempts.get(task_id)
        if found is None:
            found = self._new(ATTEMPT, at, self._task(task_id, at), (task_id, "attempt", number))
            found.attributes |= self._about(task_id)
            found.attributes |= {c.OPERATION: ATTEMPT, c.ATTEMPT_NUMBER: number, c.HOPS: 1}
            self._attempts[task_id] = found
        return found

    def _ended(self, event: j.JournalEvent, at: float) -> None:
        """An attempt has ended, or a task that had none."""
        task_id, number = str(getattr(event, "task_id", "")), getattr(event, "attempt", 0)
        task, attempt = self._task(task_id, at), self._attempts.pop(task_id, None)
        if attempt is None and isinstance(event, j.TaskSucceeded | j.TaskRetrying | j.TaskLost):
            self.problems.append(f"attempt {number} of task {task_id} has no beginning in the journal")
            attempt = self._attempt(task_id, number, at)
            del self._attempts[task_id]
        status, message, about = _end_of(event)
        if attempt is not None:
            attempt.close(at, status, message)
            attempt.attributes |= about
        if not isinstance(event, j.TaskRetrying | j.TaskDelayed | j.TaskLost):
            task.close(at, status, message)
            if (wait := self._waits.pop(task_id, None)) is not None:
                wait.close(at, status, message)

    def _decided(self, event: j.JournalEvent, kind: str, at: float, number: int) -> None:
        task_id = str(getattr(event, "task_id", ""))
        added = getattr(event, "added", ())
        span = self._new(DECISION, at, self._task(task_id, at), (task_id, kind, number), at)
        span.attributes |= {c.DECISION_KIND: kind.removeprefix("task."), c.ADDED: len(added)}

    def _waiting(self, event: j.JournalEvent, at: float, number: int) -> None:
        """A task waits for a person, or goes on."""
        task_id = str(getattr(event, "task_id", ""))
        if isinstance(event, _GOES_ON):
            if (wait := self._waits.pop(task_id, None)) is not None:
                wait.close(at)
            return
        what = _WAITS[type(event)]
        if (attempt := self._attempts.pop(task_id, None)) is not None:
            attempt.close(at)
            attempt.attributes[c.OUTCOME] = "suspended"
        if task_id not in self._waits:
            wait = self._new(WAIT, at, self._task(task_id, at), (task_id, "wait", number))
            wait.attributes["multi_agent.waits_for"] = what
            self._waits[task_id] = wait

    def _task(self, task_id: str, at: float) -> Span:
        if task_id not in self._tasks:
            span = self._tasks[task_id] = self._new(TASK, at, self.root, (task_id,))
            span.attributes |= self._about(task_id)
        return self._tasks[task_id]

    def _about(self, task_id: str) -> dict[str, Attribute]:
        role = self._roles.get(task_id, "")
        return {c.TASK_ID: task_id, **({c.AGENT: role} if role else {})}

    def _new(
        self,
        name: str,
        at: float,
        parent: Span | None,
        parts: tuple[str | int, ...],
        end: float | None = None,
    ) -> Span:
        span_id = span_id_of(self._workflow_id, *parts)
        parent_id = parent.span_id if parent else None
        span = Span(trace_id_of(self._workflow_id), span_id, parent_id, name, at, end)
        span.attributes |= {c.WORKFLOW_ID: self._workflow_id, c.CONVERSATION: self._workflow_id}
        if end is not None:
            span.status = SpanStatus.OK
        self.spans.append(span)
        return span


def usage(used: Usage) -> dict[str, Attribute]:
    """Tokens and cost as attributes."""
    found: dict[str, Attribute] = {
        c.INPUT_TOKENS: used.input_tokens,
        c.OUTPUT_TOKENS: used.output_tokens,
        c.COST: used.cost_usd,
    }
    return found | ({c.CACHED_TOKENS: used.cached_input_tokens} if used.cached_input_tokens else {})


def _end_of(event: j.JournalEvent) -> tuple[SpanStatus, str, dict[str, Attribute]]:
    if isinstance(event, j.TaskSucceeded):
        about: dict[str, Attribute] = {c.OUTCOME: event.verdict or "succeeded", c.WORKER_ID: event.worker_id}
        return SpanStatus.OK, "", about | ({c.COMMIT: event.commit} if event.commit else {})
    if isinstance(event, j.TaskLost):
        about = {c.OUTCOME: "lost", c.WORKER_ID: event.dead_worker_id, c.ERROR: "worker_died"}
        return SpanStatus.ERROR, f"worker {event.dead_worker_id} died", about
    if isinstance(event, _BAD_ENDS):
        return SpanStatus.ERROR, event.message, {c.OUTCOME: "failed", c.ERROR: event.code}
    return SpanStatus.UNSET, "", {}
