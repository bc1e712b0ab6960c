"""What a consumer has to say, kept until it is said and, for replies, until it is confirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from contracts.base.errors import BusUnavailable, NotPermitted
from contracts.base.failpoints import failpoint_of
from contracts.ports.bus import Delivery, Done, Outgoing, PublishPort
from contracts.runtime.backoff import Backoff
from contracts.runtime.reading import Entry, entry
from contracts.runtime.resend import Reply, ResendPolicy, UnconfirmedReplies

_CHUNK_BYTES: Final = 4_000_000
"""Of replies in one call of the bus: the time of a call is limited, whatever its size."""

_log = structlog.get_logger(__name__)


class Outbox:
    """Sends replies and dead letters, and acknowledges in the same step the entries that led to them.

    A reply is sent again until `confirm` names it; see ResendPolicy. When the bus was away everything
    unconfirmed is sent at once, in chunks; what was not sent yet goes first.
    """

    def __init__(
        self,
        bus: PublishPort,
        group: str,
        policy: ResendPolicy,
        *,
        kept: Callable[[Sequence[Delivery]], object] = list,
        broadcast: bool = False,
        failpoints: str | None = None,
    ) -> None:
        """`broadcast`: replies go out on channels, where nothing is stored, instead of streams.

        `kept` is given what was to be put back, when that turns out not to be permitted.
        `failpoints`: see ConsumerSettings.
        """
        self._bus = bus
        self._group = group
        self._broadcast = broadcast
        self._failpoints = failpoints
        self._replies = UnconfirmedReplies(policy)
        self._successors: list[tuple[Outgoing, Delivery]] = []
        """Dead letters and messages put back, with the entries whose place they take."""
        self._may_put_back, self._kept = True, kept
        self._acks: list[Delivery] = []
        self._work = asyncio.Event()

    @property
    def entries(self) -> set[Entry]:
        """The entries that are still to be acknowledged."""
        owed = [delivery for reply in self._replies for delivery in reply.owed]
        replaced = [delivery for _, delivery in self._successors]
        return {entry(delivery) for delivery in (*owed, *replaced, *self._acks)}

    @property
    def keys(self) -> tuple[str, ...]:
        """The messages whose reply is not confirmed."""
        return tuple(reply.key for reply in self._replies)

    def reply(self, reply: Reply) -> None:
        """Send a reply until it is confirmed; acknowledge its deliveries when it is first sent."""
        self.ack(*self._replies.add(reply, self._now()))

    def repeat(self, key: str, delivery: Delivery) -> bool:
        """Send the reply to this message again, then acknowledge; False when there is none to repeat."""
        repeated = self._replies.repeat(key, delivery)
        if repeated:
            self._work.set()
        return repeated

    def dead_letter(self, letter: Outgoing, delivery: Delivery) -> None:
        """Send a dead letter, and acknowledge the entry it holds."""
        self._successors.append((letter, delivery))
        self._work.set()

    def put_back(self, delivery: Delivery) -> bool:
        """Give an entry back to its stream, as its last one; False where that is not permitted."""
        if self._may_put_back:
            self._successors.append((Outgoing(delivery.stream, delivery.payload), delivery))
            self._work.set()
        return self._may_put_back

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
        self._acks += self._replies.expire(self._now())
        due = self._replies.pop_due(self._now())
        if not due and not self._successors and not self._acks:
            return
        unsent = _chunks(due)
        try:
            while unsent:
                await self._send(unsent[0])
                unsent.popleft()
        except BaseException:
            self._replies.put_back([reply for chunk in unsent for reply in chunk])
            raise

    async def _send(self, replies: list[Reply]) -> None:
        """Send some replies, together with all that takes the place of an entry, and acknowledgements."""
        failpoint_of(self._failpoints, "before_outcome")
        messages = [reply.message for reply in replies]
        if self._broadcast:
            await self._answer(replies, [])
            if messages:
                await self._bus.broadcast(messages)
        else:
            await self._answer(replies, messages)
        failpoint_of(self._failpoints, "after_outcome")
        now = self._now()
        for reply in replies:
            self._replies.sent(reply, now)

    async def _answer(self, replies: list[Reply], messages: list[Outgoing]) -> None:
        """Store messages and successors, and acknowledge all that is owed; then it is owed no more."""
        successors, acks = list(self._successors), list(self._acks)
        owed = [list(reply.owed) for reply in replies]
        done = [delivery for deliveries in owed for delivery in deliveries]
        done += [delivery for _, delivery in successors] + acks
        if not done and not messages:
            return
        try:
            await self._bus.answer(Done(self._group, done), messages + [message for message, _ in successors])
        except NotPermitted:
            self._keep()
            raise
        del self._successors[: len(successors)]
        del self._acks[: len(acks)]
        # A duplicate that arrived during the call waits for the next sending.
        for reply, deliveries in zip(replies, owed, strict=True):
            del reply.owed[: len(deliveries)]

    def _keep(self) -> None:
        """Put nothing back from now on: a worker may be forbidden to write where it reads."""
        kept = [delivery for message, delivery in self._successors if message.stream == delivery.stream]
        self._successors = [one for one in self._successors if one[1] not in kept]
        self._may_put_back = False
        self._kept(kept)

    async def _wait(self) -> None:
        due = self._replies.next_due
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                await self._work.wait()
        except TimeoutError:
            pass

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _chunks(replies: Iterable[Reply]) -> deque[list[Reply]]:
    """The replies in order, in chunks of limited size; at least one chunk, which may be empty."""
    chunks: deque[list[Reply]] = deque([[]])
    room = _CHUNK_BYTES
    for reply in replies:
        size = len(reply.message.payload)
        if size > room and chunks[-1]:
            chunks.append([])
            room = _CHUNK_BYTES
        chunks[-1].append(reply)
        room -= size
    return chunks
