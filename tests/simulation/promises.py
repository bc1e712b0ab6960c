"""What a mark, an acknowledgement or an answer says, compared with what really happened before it."""

from __future__ import annotations

from contracts.base.refs import UNVERIFIED
from contracts.messages.channels import Channels
from contracts.ports.bus import Delivery, Outgoing
from orchestrator.core.offers import accepted_tips
from orchestrator.core.state import WorkflowStatus
from orchestrator.scheduling.batch import OutboxEntry, OutboxKind
from orchestrator.service.fleet.recovery import DrainGate
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_git import ModelGit
from tests.simulation.model_store import ModelStore
from tests.simulation.parcels import unwrap
from tests.simulation.unreadable import read_from
from tests.simulation.violations import check


class Promises:
    """Hears of all that is published and moved."""

    def __init__(self, store: ModelStore, git: ModelGit) -> None:
        self._store = store
        self._git = git
        self._published: set[str] = set()
        self.lately: set[str] = set()
        """Dispatches published since this was cleared."""
        self._told: set[str] = set()
        """Dispatches with an outcome that was published."""

    def dispatched(self, dispatch_id: str) -> None:
        self._published.add(dispatch_id)
        self.lately.add(dispatch_id)

    def told(self, message: Outgoing) -> None:
        self._told.add(unwrap(message.payload).data.dispatch_id)

    def marked(self, entry: OutboxEntry) -> None:
        """An effect counts as done: its outbox entry is deleted."""
        if entry.kind is OutboxKind.REF and entry.commit:
            moved = (entry.workflow_id, entry.task_id, entry.commit) in self._git.moves
            check(moved, f"I2: the ref of {entry.task_id} counts as moved, and is not")
        elif entry.kind is OutboxKind.REF:
            if self._store.offers(entry.workflow_id) == 1:
                self.offer_stands(entry.workflow_id)
        elif self._store.current(entry.workflow_id, entry.task_id, entry.entry_id):
            published = entry.entry_id in self._published
            check(published, f"I1: {entry.entry_id} counts as published, and is not")

    def offer_stands(self, name: str) -> None:
        """A failed workflow offers what it has, and a completed one nothing."""
        workflow = self._store.stored(name)
        offered = self._git.refs.get((name, UNVERIFIED)) is not None
        if workflow.header.status is WorkflowStatus.COMPLETED:
            check(not offered, "I2: unverified work is still offered beside the result")
        elif workflow.header.status is WorkflowStatus.FAILED and not self._git.conflicts:
            check(offered or not accepted_tips(workflow), "a failed workflow does not offer its work")

    def acknowledged_letter(self, letter: Delivery) -> None:
        """A message that a worker could not read is settled."""
        request = read_from(letter)
        waited_for = self._store.current(request.workflowid or "", request.taskid or "", request.id)
        told = not waited_for or request.id in self._told
        check(told, f"I1: the dead message of {request.id} was acknowledged, and its task not told")


class WatchedGate(DrainGate):
    """Remembers what was on the bus at each question."""

    def __init__(self, bus: ModelBus) -> None:
        super().__init__()
        self._bus = bus
        self._newest: dict[int, int] = {}

    def ask(self) -> int:
        ticket = super().ask()
        self._newest[ticket] = self._bus.newest
        return ticket

    def answer_is_true(self, ticket: int, read: set[str]) -> None:
        """An answer says that every outcome has been read that was there when it was asked."""
        newest = max((self._newest[one] for one in self._newest if one <= ticket), default=0)
        unread = self._bus.entry_ids(Channels.results(0), newest) - read
        check(not unread, f"I4: outcomes count as read, and are not: {sorted(unread)}")
