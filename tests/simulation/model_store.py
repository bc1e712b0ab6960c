"""The database as a model: what is committed, and the invariants of what may be committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from contracts.base.errors import StoreUnavailable
from contracts.messages.channels import SHARDS
from contracts.messages.journal import JournalEvent
from orchestrator.client.views import WorkerView
from orchestrator.core.approvals.releasing import release
from orchestrator.core.attempts import MAX_CRASHES
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import Batch, Command, DeadLetter, OutboxEntry, OutboxKind
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.scheduling.messages import request_stream
from orchestrator.storage.outbox import OutboxRows, group_rows, outbox_row
from orchestrator.storage.store import OwnershipLost
from tests.simulation.allowing import Allowed
from tests.simulation.choices import Choices
from tests.simulation.unreadable import is_letter
from tests.simulation.violations import Crash, check

_MOVING = frozenset({TaskStatus.READY, TaskStatus.DISPATCHED})
Key = tuple[str, str]
OTHER = "no answer to this question"


class ModelStore:
    """What the owner uses of Store, in memory. A transaction may fail, or succeed with its answer lost."""

    def __init__(self, choices: Choices, window: int, fault: float) -> None:
        self._choices = choices
        self._window = window
        self._likely = fault
        self._epoch = 0
        self.headers: dict[str, Header] = {}
        self.tasks: dict[str, dict[str, TaskState]] = {}
        self._outbox: dict[str, Sequence[OutboxEntry]] = {}
        self._outbox_rows = OutboxRows()
        self.waiting: dict[str, Command] = {}
        self.letters: dict[int, StoredDeadLetter] = {}
        self._origins: set[str | None] = set()
        self.dispatched: set[str] = set()
        self.succeeded: Counter[Key] = Counter()
        self.commits = 0
        self.allowed = Allowed()
        self.journal: list[tuple[str, JournalEvent]] = []
        """(workflow id, entry) of all that was committed."""
        self.marked: Callable[[OutboxEntry], None] = lambda _: None
        """Hears of each effect that counts as done."""

    # --- what the owner calls ------------------------------------------------------------------------

    def claim(self) -> ShardAssignment:
        """Everything, for one session; whoever had it is fenced."""
        self._epoch += 1
        return ShardAssignment(dict.fromkeys(range(SHARDS), self._epoch))

    async def commit(self, batch: Batch, assignment: ShardAssignment) -> None:
        kind = self._choices.fault(self._likely, 4)
        if kind == 1:
            raise StoreUnavailable("not committed")
        if kind == 2:
            raise Crash("before the commit")
        if any(assignment.epochs.get(shard) != self._epoch for shard in batch.shards):
            raise OwnershipLost("another orchestrator has taken over")
        self._write(batch)
        if kind == 3:
            raise StoreUnavailable("the answer to a commit was lost")
        if kind == 4:
            raise Crash("after the commit")

    async def open_workflow_ids(self, assignment: ShardAssignment) -> tuple[list[str], list[str]]:
        opened = [header for header in self.headers.values() if not header.status.terminal]
        busy = [
            header.workflow_id
            for header in opened
            if header.status is WorkflowStatus.MERGING
            or any(task.status is TaskStatus.DISPATCHED for task in self.tasks[header.workflow_id].values())
        ]
        return busy, [header.workflow_id for header in opened if header.workflow_id not in busy]

    async def load_open(self, names: Sequence[str]) -> list[Workflow]:
        return [self.stored(name) for name in names if not self.headers[name].status.terminal]

    async def load(self, workflow_id: str) -> Workflow | None:
        return self.stored(workflow_id) if workflow_id in self.headers else None

    async def load_outbox(self, assignment: ShardAssignment) -> list[OutboxEntry]:
        self._outbox_rows.clear()
        self._outbox_rows.add(self._outbox.values())
        return [entry for parcel in self._outbox.values() for entry in parcel]

    async def waiting_commands(self, assignment: ShardAssignment) -> list[Command]:
        waiting = self.waiting.values()
        return [replace(command, known=command.workflow_id in self.headers) for command in waiting]

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter | None:
        return self.letters.get(dead_letter_id)

    async def add_worker(self, worker: WorkerView) -> None: ...

    async def mark_workers_left_except(self, living: Iterable[str], at: float, why: str) -> None: ...

    async def mark_workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None: ...

    def stored(self, name: str) -> Workflow:
        """A workflow as it is committed."""
        return Workflow.load(self.headers[name], self.tasks[name].values())

    # --- a transaction -------------------------------------------------------------------------------

    def _write(self, batch: Batch) -> None:
        self.commits += 1
        self.journal += batch.journal
        for name, workflow in batch.created.items():
            check(name not in self.headers, "I2: a workflow was created twice")
            planned = (TaskState(task.item, task.item.dependencies) for task in workflow.tasks.values())
            self.headers[name] = workflow.header
            self.tasks[name] = {task.task_id: task for task in planned}
        for key, task in batch.tasks.items():
            check((key[1] in self.tasks[key[0]]) != (key in batch.added), "a task is new or it is not")
            if key in batch.dispatch_only or key in batch.success_only:
                change = _as_sent if key in batch.dispatch_only else _as_done
                written = change(self.tasks[key[0]][key[1]], task)
                check(written == task, "more has changed than is written")
            self._replace(key, task)
        for name in {*batch.created, *(name for name, _ in batch.tasks)}:
            workflow = self.stored(name)
            self.tasks[name].update((task.task_id, task) for task in release(workflow, workflow.tasks))
        for name in batch.count_only:
            stored = self.headers[name]._replace(open_tasks=batch.headers[name].open_tasks)
            check(stored == batch.headers[name], "more has changed than is written")
        self.headers.update(
            (name, header) for name, header in batch.headers.items() if name not in batch.created
        )
        self._write_outbox(batch)
        for command_id in batch.answers:
            check(self.waiting.pop(command_id, None) is not None, "I2: a command was applied twice")
        self._write_letters(batch)
        self._recount({*batch.created, *batch.headers, *(name for name, _ in batch.tasks)})

    def _write_outbox(self, batch: Batch) -> None:
        parcels = group_rows(batch.outbox)
        for parcel in parcels:
            name = outbox_row(parcel)[0]
            check(name not in self._outbox, "the outbox holds an effect twice")
            self._outbox[name] = parcel
        entries = {entry.entry_id: entry for parcel in self._outbox.values() for entry in parcel}
        for name in batch.delivered:
            if name in entries:
                self.marked(entries[name])
        for name in self._outbox_rows.complete(batch.delivered):
            self._outbox.pop(name, None)
        self._outbox_rows.add(parcels)

    def _write_letters(self, batch: Batch) -> None:
        for letter in batch.dead_letters:
            self._bury(letter, batch.now)
        for number, how in batch.resolved.items():
            check(self.letters[number].resolution is None, "I2: a dead letter was worked off twice")
            self.letters[number] = replace(self.letters[number], resolution=how, resolved_at=batch.now)
        for number, kept in self.letters.items():
            if kept.resolved_at is None and _retried(kept, batch):
                self.letters[number] = replace(kept, resolution="retried", resolved_at=batch.now)

    def _bury(self, letter: DeadLetter, now: float) -> None:
        is_good = letter.task_id is None and not is_letter(letter.origin)
        check(not is_good, f"I7: a good message was dead-lettered: {letter.reason}")
        if letter.origin in self._origins:
            return
        self._origins.add(letter.origin)
        number = len(self.letters) + 1
        place = (letter.stream, letter.workflow_id, letter.task_id)
        self.letters[number] = StoredDeadLetter(
            number, now, *place, letter.reason, letter.raw, None, None, None
        )

    def _replace(self, key: Key, task: TaskState) -> None:
        old = self.tasks[key[0]].get(key[1])
        if (task.status is TaskStatus.DEAD) != (task.crashes >= MAX_CRASHES):
            check(False, f"I7: {task.status} after {task.crashes} crashes")
        check(task.crashes - (old.crashes if old else 0) <= 1, "I7: a death was counted twice")
        check(not old or task.answers[: len(old.answers)] == old.answers, "I1: an answer was lost")
        check(len(task.answers) <= 1, "I2: a question was answered twice")
        others = any(given.answer == OTHER for given in task.answers)
        check(not others, "I3: what answers something else was accepted")
        if old is not None and old.status is TaskStatus.SUCCEEDED:
            check(task.status is TaskStatus.SUCCEEDED, "I4: a task that succeeded was opened again")
            check(task.commit == old.commit, "I2: a second outcome was accepted")
        elif task.status is TaskStatus.SUCCEEDED:
            self.succeeded[key] += 1
            check(self.succeeded[key] == 1, "I2: a task succeeded twice")
        if task.dispatch_id and task.status is TaskStatus.DISPATCHED:
            self.dispatched.add(task.dispatch_id)
        self.allowed.check(self.headers[key[0]], old, task)
        self.tasks[key[0]][key[1]] = task

    def _recount(self, names: set[str]) -> None:
        buried = {(letter.workflow_id, letter.task_id) for letter in self.letters.values()}
        for name in names:
            tasks = self.tasks[name]
            still_open = 0
            for task in tasks.values():
                still_open += not task.status.terminal
                if task.status in _MOVING:
                    for needed in task.dependencies:
                        check(tasks[needed].status is TaskStatus.SUCCEEDED, "I6: a task is due too early")
                if task.status is TaskStatus.DEAD:
                    check((name, task.task_id) in buried, "I7: a task was given up without a dead letter")
            check(self.headers[name].open_tasks == still_open, "open_tasks differs from a recount")
        out: dict[str, int] = {}
        for tasks in self.tasks.values():
            for task in tasks.values():
                if task.status is TaskStatus.DISPATCHED:
                    stream = request_stream(task)
                    out[stream] = out.get(stream, 0) + 1
        check(max(out.values(), default=0) <= self._window, "I9: more is out than the window")

    # --- questions -----------------------------------------------------------------------------------

    def unpublished(self) -> list[OutboxEntry]:
        """The dispatches in the outbox that are current."""
        entries = (entry for parcel in self._outbox.values() for entry in parcel)
        return [
            entry
            for entry in entries
            if entry.kind is OutboxKind.DISPATCH
            and self.current(entry.workflow_id, entry.task_id, entry.entry_id)
        ]

    def offers(self, workflow_id: str) -> int:
        """How many offers of a workflow are to be made."""
        entries = (entry for parcel in self._outbox.values() for entry in parcel)
        wanted = (workflow_id, OutboxKind.REF, None)
        return sum((entry.workflow_id, entry.kind, entry.commit) == wanted for entry in entries)

    def current(self, workflow_id: str, task_id: str, dispatch_id: str) -> bool:
        """Whether this dispatch is committed as the current one."""
        task = self.tasks.get(workflow_id, {}).get(task_id)
        return task is not None and task.status is TaskStatus.DISPATCHED and task.dispatch_id == dispatch_id

    def is_out(self, dispatch_id: str) -> bool:
        """Whether this dispatch is committed as the current one of any task."""
        return any(
            task.status is TaskStatus.DISPATCHED and task.dispatch_id == dispatch_id
            for tasks in self.tasks.values()
            for task in tasks.values()
        )


def _as_sent(stored: TaskState, task: TaskState) -> TaskState:
    """What a dispatch writes."""
    return stored._replace(
        status=task.status,
        attempt=task.attempt,
        dispatch_id=task.dispatch_id,
        dispatched_at=task.dispatched_at,
        parents=task.parents,
    )


def _as_done(stored: TaskState, task: TaskState) -> TaskState:
    """What a success writes."""
    return stored._replace(
        status=task.status,
        suspect=task.suspect,
        commit=task.commit,
        verdict=task.verdict,
        summary=task.summary,
        tests=task.tests,
        review=task.review,
        backend=task.backend,
        error=task.error,
        usage=task.usage,
        seconds=task.seconds,
        question=task.question,
        answers=task.answers,
        allowance=task.allowance,
        charged=task.charged,
        unknown=task.unknown,
        needs=task.needs,
        approval=task.approval,
        wanted=task.wanted,
        granted=task.granted,
        refused=task.refused,
    )


def _retried(letter: StoredDeadLetter, batch: Batch) -> bool:
    """Whether its task got fresh attempts."""
    return any(
        name == letter.workflow_id and task_id in {None, letter.task_id} for name, task_id in batch.retried
    )
