"""Replies that nobody has confirmed, and when each is sent again. No clock, no bus; times are monotonic."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from contracts.ports.bus import Delivery, Outgoing


@dataclass(frozen=True, slots=True)
class ResendPolicy:
    """How long and how often a reply is sent; times in seconds."""

    first_seconds: float
    """Until a reply is sent for the second time. The wait doubles with every sending."""

    most_seconds: float
    """What the wait grows to: with nobody there to confirm, a stream would grow for ever."""

    keep_seconds: float = math.inf
    """After which a reply is dropped."""

    max_bytes: float = math.inf
    """Of all replies together; the oldest are dropped first."""


@dataclass(slots=True, eq=False)
class Reply:
    """The result of one execution, until its receiver confirms it."""

    key: str
    execution_id: str
    message: Outgoing

    owed: list[Delivery] = field(default_factory=list)
    """Deliveries to acknowledge together with the next sending."""

    once: bool = False
    """Whether it is sent a single time, because nobody will confirm it."""

    wait: float = 0.0
    due: float = 0.0
    until: float = math.inf


class UnconfirmedReplies:
    """Each reply is due at once, and again ever more rarely until it is confirmed."""

    def __init__(self, policy: ResendPolicy) -> None:
        self._policy = policy
        self._replies: dict[str, Reply] = {}
        self._executions: dict[str, str] = {}
        self._now_due: dict[str, Reply] = {}
        self._later: list[tuple[float, int, Reply]] = []
        self._number = itertools.count()
        self._bytes = 0

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._replies.values())

    @property
    def next_due(self) -> float | None:
        """When a reply that was sent is to be sent again, at the earliest."""
        return self._later[0][0] if self._later else None

    def add(self, reply: Reply, now: float) -> list[Delivery]:
        """Keep a reply, which is due at once. The deliveries owed by replies that are dropped for it."""
        reply.wait = self._policy.first_seconds
        reply.until = now + self._policy.keep_seconds
        self._replies[reply.execution_id] = self._now_due[reply.execution_id] = reply
        self._executions[reply.key] = reply.execution_id
        self._bytes += len(reply.message.payload)
        owed: list[Delivery] = []
        while self._bytes > self._policy.max_bytes and len(self._replies) > 1:
            owed += self.confirm(next(iter(self._replies)))
        return owed

    def expire(self, now: float) -> list[Delivery]:
        """Drop replies that were kept long enough. The deliveries they still owe."""
        owed: list[Delivery] = []
        while (oldest := next(iter(self), None)) and now >= oldest.until:
            owed += self.confirm(oldest.execution_id)
        return owed

    def repeat(self, key: str, delivery: Delivery) -> bool:
        """Make the reply to this message due now, and owe one more delivery; False when there is none."""
        execution_id = self._executions.get(key)
        if execution_id is None:
            return False
        reply = self._now_due[execution_id] = self._replies[execution_id]
        reply.owed.append(delivery)
        return True

    def make_all_due(self) -> None:
        """Send everything once more, now, and first what was due already; the waits begin anew."""
        for reply in self:
            reply.wait = self._policy.first_seconds
        self._now_due |= self._replies

    def pop_due(self, now: float) -> list[Reply]:
        """What is to be sent now. Hand each either to `sent` or back to `put_back`."""
        while self._later and self._later[0][0] <= now:
            at, _, reply = heapq.heappop(self._later)
            # One that was repeated meanwhile is there a second time, for later.
            if self._keeps(reply) and reply.due == at:
                self._now_due.setdefault(reply.execution_id, reply)
        due, self._now_due = self._now_due, {}
        return list(due.values())

    def put_back(self, replies: Sequence[Reply]) -> None:
        """These could not be sent: they stay due."""
        self._now_due = {each.execution_id: each for each in replies if self._keeps(each)} | self._now_due

    def sent(self, reply: Reply, now: float) -> None:
        """A reply was sent."""
        reply.due = now + reply.wait
        reply.wait = min(reply.wait * 2, self._policy.most_seconds)
        heapq.heappush(self._later, (reply.due, next(self._number), reply))
        if reply.once:
            self.confirm(reply.execution_id)

    def confirm(self, execution_id: str) -> list[Delivery]:
        """Forget a reply. The deliveries it still owes."""
        reply = self._replies.pop(execution_id, None)
        if reply is None:
            return []
        self._bytes -= len(reply.message.payload)
        self._now_due.pop(execution_id, None)
        if self._executions[reply.key] == execution_id:
            del self._executions[reply.key]
        owed, reply.owed = reply.owed, []
        return owed

    def discard(self, key: str) -> list[Delivery]:
        """Forget the reply to this message. The deliveries it still owes."""
        return self.confirm(self._executions[key]) if key in self._executions else []

    def _keeps(self, reply: Reply) -> bool:
        return self._replies.get(reply.execution_id) is reply
