"""What a worker has to say, kept until it is said and, for outcomes, until the owner has stored it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from agents.worker.backoff import Backoff
from agents.worker.reading import Entry, entry
from contracts.base.errors import BusUnavailable
from contracts.base.failpoints import failpoint
from contracts.messages.channels import Channels
from contracts.ports.bus import Delivery, Done, MessageBus, Outgoing

_RESEND_GROWTH_CAP: Final = 15
_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Kept:
    """An outcome nobody has acknowledged. `due` is the loop's time of the publication after the last."""

    execution_id: str
    dispatch_id: str
    outgoing: Outgoing
    wait: float
    deliveries: list[Delivery]
    due: float = 0.0


class Outbox:
    """Publishes outcomes and dead letters, and acknowledges in the same step the entries that led to them.

    An outcome is published again after `resend_seconds` until `acknowledged` names it; the wait doubles up
    to 15 times that, because with no owner alive the stream would grow for ever, and starts anew when the bus
    was away.
    """

    def __init__(self, bus: MessageBus, resend_seconds: float) -> None:
        self._bus = bus
        self._resend_seconds = resend_seconds
        self._outcomes: dict[str, _Kept] = {}
        self._executions: dict[str, str] = {}
        self._now_due: dict[str, _Kept] = {}
        self._later: list[tuple[float, int, _Kept]] = []
        self._number = itertools.count()
        self._letters: list[tuple[Outgoing, Delivery]] = []
        self._acks: list[Delivery] = []
        self._work = asyncio.Event()

    @property
    def entries(self) -> set[Entry]:
        """The entries that are still to be acknowledged."""
        owed = [delivery for kept in self._outcomes.values() for delivery in kept.deliveries]
        letters = [delivery for _, delivery in self._letters]
        return {entry(delivery) for delivery in (*owed, *letters, *self._acks)}

    def outcome(self, dispatch_id: str, execution_id: str, outgoing: Outgoing, delivery: Delivery) -> None:
        """Publish an outcome until it is acknowledged; ack `delivery` after the first time."""
        kept = _Kept(execution_id, dispatch_id, outgoing, self._resend_seconds, [delivery])
        self._outcomes[execution_id] = self._now_due[execution_id] = kept
        self._executions[dispatch_id] = execution_id
        self._work.set()

    def repeat(self, dispatch_id: str, delivery: Delivery) -> bool:
        """Publish the outcome of this dispatch again, then ack; False when there is none to repeat."""
        execution_id = self._executions.get(dispatch_id)
        if execution_id is None:
            return False
        kept = self._now_due[execution_id] = self._outcomes[execution_id]
        kept.deliveries.append(delivery)
        self._work.set()
        return True

    def dead_letter(self, letter: Outgoing, delivery: Delivery) -> None:
        self._letters.append((letter, delivery))
        self._work.set()

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge an entry that needs no answer."""
        self._acks.append(delivery)
        self._work.set()

    def acknowledged(self, execution_ids: Iterable[str]) -> None:
        """The owner stored these outcomes."""
        for execution_id in execution_ids:
            self._drop(execution_id)

    def recalled(self, dispatch_id: str) -> None:
        """The outcome of this dispatch interests nobody any more."""
        if dispatch_id in self._executions:
            self._drop(self._executions[dispatch_id])

    def resend_all(self) -> None:
        """The bus may have lost its memory: publish everything unacknowledged at once."""
        for kept in self._outcomes.values():
            kept.wait = self._resend_seconds
        self._now_due = dict(self._outcomes)
        self._work.set()

    async def run(self) -> None:
        """Work until cancelled; an absent bus is waited for."""
        backoff = Backoff()
        while True:
            self._work.clear()
            try:
                await self.flush()
            except BusUnavailable as error:
                _log.debug("outbox.bus_unavailable", error=str(error))
                self.resend_all()
                await backoff.wait()
            else:
                backoff.reset()
                await self._wait()

    async def flush(self) -> None:
        """Say what is due, once. Raises BusUnavailable; what was not said stays due."""
        due = self._take_due()
        letters, acks = list(self._letters), list(self._acks)
        outgoing = [kept.outgoing for kept in due] + [letter for letter, _ in letters]
        if not outgoing and not acks:
            return
        answered = [len(kept.deliveries) for kept in due]
        done = [delivery for kept in due for delivery in kept.deliveries]
        done += [delivery for _, delivery in letters] + acks
        failpoint("worker.before_outcome")
        try:
            await self._bus.answer(Done(Channels.WORKERS_GROUP, done), outgoing)
        except BaseException:
            self._now_due = {kept.execution_id: kept for kept in due if self._keeps(kept)} | self._now_due
            raise
        failpoint("worker.after_outcome")
        del self._letters[: len(letters)]
        del self._acks[: len(acks)]
        now = self._now()
        for kept, count in zip(due, answered, strict=True):
            # A duplicate that arrived while this was being sent waits for the next publication.
            del kept.deliveries[:count]
            kept.due = now + kept.wait
            kept.wait = min(kept.wait * 2, self._resend_seconds * _RESEND_GROWTH_CAP)
            heapq.heappush(self._later, (kept.due, next(self._number), kept))

    def _take_due(self) -> list[_Kept]:
        """What has not been said, and what was said long ago and not heard of since."""
        now = self._now()
        while self._later and self._later[0][0] <= now:
            at, _, kept = heapq.heappop(self._later)
            # One that was repeated meanwhile stands there again, for later.
            if self._keeps(kept) and kept.due == at:
                self._now_due.setdefault(kept.execution_id, kept)
        due, self._now_due = self._now_due, {}
        return list(due.values())

    def _keeps(self, kept: _Kept) -> bool:
        return self._outcomes.get(kept.execution_id) is kept

    def _drop(self, execution_id: str) -> None:
        kept = self._outcomes.pop(execution_id, None)
        if kept is None:
            return
        self._now_due.pop(execution_id, None)
        if self._executions[kept.dispatch_id] == execution_id:
            del self._executions[kept.dispatch_id]
        if kept.deliveries:
            self._acks += kept.deliveries
            kept.deliveries = []
            self._work.set()

    async def _wait(self) -> None:
        due = self._later[0][0] if self._later else None
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                await self._work.wait()
        except TimeoutError:
            pass

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
