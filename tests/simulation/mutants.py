"""Protective lines switched off, to see that the simulation notices. Nowhere else is anything patched."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orchestrator.core.approvals.deciding
import orchestrator.core.attempts
import orchestrator.core.decide
import orchestrator.service.fleet.workers
import tests.simulation.people
import tests.simulation.plans
from contracts.base.errors import BusUnavailable
from contracts.messages.budget import NOTHING, Spent
from contracts.messages.channels import Channels
from contracts.messages.payloads import Heartbeat, TaskError, WorkerLeft
from contracts.runtime.reading import Reader
from orchestrator.core.budgets import settled
from orchestrator.core.decision import Decision
from orchestrator.core.events import Lost
from orchestrator.core.state import TaskState, TaskStatus, Workflow
from orchestrator.scheduling.batch import Batch
from orchestrator.scheduling.crash_attribution import Departure, death
from orchestrator.scheduling.engine import Effects
from orchestrator.scheduling.outcome_guard import Credibility, OutcomeGuard
from orchestrator.service.fleet.recovery import Recovery, Words
from orchestrator.service.fleet.workers import Workers
from orchestrator.service.git_publisher import GitPublisher
from orchestrator.service.inbox_handler import InboxHandler
from orchestrator.service.offers import Offer
from orchestrator.service.publisher import Publisher
from orchestrator.service.sources import OutcomeReader
from orchestrator.service.term import Term
from tests.simulation.editing import edited
from tests.simulation.plans import submission

_lose = orchestrator.core.attempts.lose


def _no_fence(workflow: Workflow, task_id: str, dispatch_id: str) -> TaskState | str:
    task = workflow.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.DISPATCHED:
        return "no such dispatch"
    return task


def _settled_free(task: TaskState, spent: Spent | None) -> TaskState:
    return settled(task, spent or Spent(total=NOTHING))


async def _publish_first(self: Term, most: int) -> None:
    batch, effects = await _decided(self, most)
    await self.handlers.publish(effects)
    await _committed(self, batch)
    _follow(self, effects)


async def _acknowledge_first(self: Term, most: int) -> None:
    batch, effects = await _decided(self, most)
    with suppress(BusUnavailable):
        await self.handlers.publisher._bus.ack(Channels.ORCHESTRATORS_GROUP, self.handlers._acks)
    await _committed(self, batch)
    await self.handlers.publish(effects)
    _follow(self, effects)


async def _decided(session: Term, most: int) -> tuple[Batch, Effects]:
    """The parts of Term.step, for steps in another order."""
    items = await session.gather(most, None)
    session.handlers.begin(session.clock.wall(), session.clock.monotonic())
    for item in items:
        await session.handlers.handle(item)
    await session.handlers.tick()
    return session.handlers.engine.flush(session.handlers.now)


async def _committed(session: Term, batch: Batch) -> None:
    if not batch.empty:
        batch.delivered = session.handlers.publisher.drain_delivered()
        await session.store.commit(batch, session.assignment)


def _follow(session: Term, effects: Effects) -> None:
    engine = session.handlers.engine
    workflows = engine.workflows
    session.git_publisher.add(effects.refs, [workflows[name] for name in effects.merges if name in workflows])
    session.offers.add(Offer(entry, workflows[name]) for entry, name in effects.offers if name in workflows)
    engine.drop_ended(effects.changed)


async def _look_at_nothing(self: Recovery, dispatch_ids: Iterable[str]) -> bool:
    return True


def _lose_uncounted(workflow: Workflow, event: Lost, now: float) -> Decision:
    return _lose(workflow, replace(event, alone=False), now)


def _blame_all(*known: Any) -> Departure:
    found = death(*known)
    return replace(found, counted=frozenset(found.executed))


async def _death_of(self: Workers, worker_id: str, _why: str) -> None:
    await self.handle_left(WorkerLeft(worker_id=worker_id, reason="died"))


def _confirm_all(self: Recovery, heartbeat: Heartbeat) -> Words:
    held = [(one.workflow_id or "", one.dispatch_id) for one in heartbeat.executions if not one.started]
    return Words([], held)


def _drain_all(self: Workers) -> dict[str, list[str]]:
    confirmed, self._confirmed = self._confirmed, {}
    return confirmed


MUTANTS: dict[str, list[tuple[Any, str, Any]]] = {
    "no check of the dispatch id": [(orchestrator.core.attempts, "_current", _no_fence)],
    "publish before commit": [(Term, "step", _publish_first)],
    "acknowledge before commit": [(Term, "step", _acknowledge_first)],
    "no look at the outbox after a start, and no sweep": [(Recovery, "find_missing", _look_at_nothing)],
    "no crash is counted": [(orchestrator.core.decide, "lose", _lose_uncounted)],
    "whoever was there is to blame": [(orchestrator.service.fleet.workers, "death", _blame_all)],
    "silence is death": [(Workers, "_doubt", _death_of)],
    "nobody misses what was read in another's name": [(Recovery, "_stolen", lambda *_: [])],
    "every outcome is believed": [(OutcomeGuard, "judge", lambda *_: Credibility.CREDIBLE)],
    "what is out of date is confirmed": [
        (Recovery, "words", _confirm_all),
        (Workers, "drain_confirmed", _drain_all),
    ],
    "an answer is forgotten": [
        edited(orchestrator.core.decide, "answer", "(*task.answers, given)", "task.answers")
    ],
    "an answer is for whatever is asked": [
        edited(orchestrator.core.decide, "answer", "if event.question_hash !=", "if not")
    ],
    "an outage is a failure": [(TaskError, "outage", property(lambda _: False))],
    "a full page counts as the last": [
        edited(OutcomeReader, "_may_hold_more", "count >= self._batch", "False")
    ],
    "what a lost answer held is not read again": [
        edited(
            OutcomeReader,
            "read",
            "except BusUnavailable:\n        self._knows_pending = False",
            "except BusUnavailable:\n        pass",
        )
    ],
    "a ref counts as moved before it is": [
        edited(
            GitPublisher,
            "_publish",
            "await self._artifacts.publish([move for _, move in batch])",
            "self._delivered += [entry_id for entry_id, _ in batch]; "
            "await self._artifacts.publish([move for _, move in batch])",
        )
    ],
    "a success leaves what was offered": [
        edited(
            GitPublisher,
            "_merge",
            "moves.append(RefMove(header.workflow_id, UNVERIFIED, None))",
            "pass",
        )
    ],
    "a dispatch counts as published before it is": [
        edited(
            Publisher,
            "publish",
            "messages = [message",
            "self.delivered += chunk; messages = [message",
        )
    ],
    "a read that was cut is looked for once": [
        edited(Reader, "_unheard", "if not found and began >= self._doubtful_until", "if not found")
    ],
    "a read that was cut is not looked for": [
        edited(Reader, "read", "self._doubtful_until = self._now()", "_ = self._now()")
    ],
    "a dead message is acknowledged though nobody was told": [
        edited(
            InboxHandler,
            "publish",
            "self._answers, self._acks, acks = answers + self._answers, acks + self._acks, []",
            "pass",
        )
    ],
    "no look at the outbox after a start": [
        edited(InboxHandler, "resume", "await self.workers.recovery.find_missing(dispatches)", "pass")
    ],
    "an approval carries a second dispatch": [
        edited(
            orchestrator.core.approvals.deciding,
            "_state",
            'given.state != "approved" and not (needs.idempotent and given.state in _USED)',
            "False",
        )
    ],
    "an approval of something else counts": [
        edited(orchestrator.core.decide, "approve", "event.action_hash != expected", "False")
    ],
    "what was lost has cost nothing": [
        (orchestrator.core.attempts, "settled", _settled_free),
        (tests.simulation.plans, "BUDGETED", 1),
        (tests.simulation.people, "submission", submission.__wrapped__),
    ],
    "a worker that has left is kept": [
        edited(Workers, "handle_left", "self.leases.members(left.worker_id)", "()")
    ],
}
