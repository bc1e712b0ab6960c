"""What a consumer has to say, kept until it is said and, for replies, until it is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from contracts.base.errors import BusUnavailable
from contracts.base.failpoints import failpoint
from contracts.ports.bus import Delivery, Done, Outgoing, PublishPort
from contracts.runtime.backoff import Backoff
from contracts.runtime.reading import Entry, entry
from contracts.runtime.resend import Reply, ResendPolicy, UnconfirmedReplies

_log = structlog.get_logger(__name__)


class Outbox:
    """Sends replies and dead letters, and acknowledges in the same step the entries that led to them.

    A reply is sent again until `confirm` names it; see ResendPolicy. When the bus was away everything
    unconfirmed is sent at once.
    """

    def __init__(
        self, bus: PublishPort, group: str, policy: ResendPolicy, *, broadcast: bool = False
    ) -> None:
        """`broadcast`: replies go out on channels, where nothing is stored, instead of streams."""
        self._bus = bus
        self._group = group
        self._broadcast = broadcast
        self._replies = UnconfirmedReplies(policy)
        self._dead_letters: list[tuple[Outgoing, Delivery]] = []
        self._acks: list[Delivery] = []
        self._work = asyncio.Event()

    @property
    def entries(self) -> set[Entry]:
        """The entries that are still to be acknowledged."""
        owed = [delivery for reply in self._replies for delivery in reply.owed]
        dead = [delivery for _, delivery in self._dead_letters]
        return {entry(delivery) for delivery in (*owed, *dead, *self._acks)}

    @property
    def keys(self) -> tuple[str, ...]:
        """The messages whose reply is not confirmed."""
        return tuple(reply.key for reply in self._replies)

    def reply(self, reply: Reply) -> None:
        """Send a reply until it is confirmed; acknowledge its deliveries when it is first sent."""
        self._replies.add(reply, self._now())
        self._work.set()

    def repeat(self, key: str, delivery: Delivery) -> bool:
        """Send the reply to this message again, then acknowledge; False when there is none to repeat."""
        repeated = self._replies.repeat(key, delivery)
        if repeated:
            self._work.set()
        return repeated

    def dead_letter(self, letter: Outgoing, delivery: Delivery) -> None:
        """Send a dead letter, and acknowledge the entry it holds."""
        self._dead_letters.append((letter, delivery))
        self._work.set()

    def ack(self, *deliveries: Delivery) -> None:
        """Acknowledge entries that need no answer."""
        self._acks += deliveries
        self._work.set()

    def confirm(self, execution_ids: Iterable[str]) -> None:
        """Stop sending these replies: they have arrived."""
        for execution_id in execution_ids:
            if owed := self._replies.confirm(execution_id):
                self.ack(*owed)

    def discard(self, key: str) -> None:
        """Drop the reply to this message: nobody waits for it."""
        if owed := self._replies.discard(key):
            self.ack(*owed)

    def resend_all(self) -> None:
        """Send everything unconfirmed at once, because the bus may have lost it."""
        self._replies.make_all_due()
        self._work.set()

    async def run(self) -> None:
        """Work until cancelled; an absent bus is waited for."""
        backoff = Backoff()
        while True:
            self._work.clear()
            try:
                await self.flush()
            except BusUnavailable as error:
                _log.debug("bus_unavailable", error=str(error))
                self.resend_all()
                await backoff.wait()
            else:
                backoff.reset()
                await self._wait()

    async def flush(self) -> None:
        """Send what is due, once. Raises BusUnavailable; what was not sent stays due."""
        due = self._replies.pop_due(self._now())
        letters, acks = list(self._dead_letters), list(self._acks)
        if not due and not letters and not acks:
            return
        owed = [len(reply.owed) for reply in due]
        done = [delivery for reply in due for delivery in reply.owed]
        done += [delivery for _, delivery in letters] + acks
        failpoint("worker.before_outcome")
        try:
            await self._send([reply.message for reply in due], [letter for letter, _ in letters], done)
        except BaseException:
            self._replies.put_back(due)
            raise
        failpoint("worker.after_outcome")
        del self._dead_letters[: len(letters)]
        del self._acks[: len(acks)]
        now = self._now()
        for reply, count in zip(due, owed, strict=True):
            self._replies.sent(reply, count, now)

    async def _send(self, replies: list[Outgoing], letters: list[Outgoing], done: list[Delivery]) -> None:
        if not self._broadcast:
            return await self._bus.answer(Done(self._group, done), replies + letters)
        if done:
            await self._bus.answer(Done(self._group, done), letters)
        if replies:
            await self._bus.broadcast(replies)
        return None

    async def _wait(self) -> None:
        due = self._replies.next_due
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                await self._work.wait()
        except TimeoutError:
            pass

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
