"""The message bus: streams with consumer groups that carry work, and channels that mirror it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class Outgoing(NamedTuple):
    """One message for a stream: `payload` is an encoded TaskEvent."""

    stream: str
    payload: bytes


class Delivery(NamedTuple):
    """One message as read from a stream: `entry_id` is the bus' own name for it."""

    stream: str
    entry_id: str
    payload: bytes


class Subscription(Protocol):
    """What `MessageBus.subscribe` hands out: (channel, payload) pairs until closed. Lossy by design."""

    def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]: ...

    async def ready(self) -> None:
        """Return when everything sent from now on will be heard."""

    async def close(self) -> None: ...


class Done(NamedTuple):
    """Deliveries of one group that need no more attention."""

    group: str
    deliveries: Sequence[Delivery]


class MessageBus(Protocol):
    """Streams with consumer groups that carry work, and channels of the same names that mirror it.

    Delivery is at least once and the bus may lose everything at any time; whoever uses it must be able to
    publish again. All methods raise BusUnavailable when the server cannot be reached or answers with an
    error of its own; no method retries a write by itself.
    """

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        """Acknowledge `done`, append each message to its stream, and broadcast `hints`: in one pipeline.

        Where one part fails, the others may have been done. Each message is mirrored on the channel of its
        stream's name, for whoever subscribed before it was stored.
        """

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        """Publish the messages and acknowledge what led to them: both or neither."""

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        """Mirror only: to whoever subscribes now, stored nowhere."""

    async def ensure_group(self, stream: str, group: str) -> None:
        """Create the stream and the group (from its first entry) unless they exist."""

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        """Up to `count` new entries a stream, waiting at most `block_ms` for the first (0: do not wait).

        Raises GroupMissing when a group is gone.
        """

    async def ack(self, group: str, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge and delete the entries, in one pipeline. Unknown entries are ignored."""

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        """Entries that `consumer` has read and not acknowledged, oldest first. [] when the group is gone."""

    async def consumers(self, stream: str, group: str) -> list[str]:
        """Who has read entries and not acknowledged them all, sorted. [] when the group is gone."""

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        """Delete the consumer unless it has entries in its hands; they would be in nobody's then."""

    async def entries(self, stream: str) -> list[Delivery]:
        """Everything in the stream, read by somebody or not, oldest first. [] when it does not exist."""

    async def orphaned(self, stream: str, group: str) -> list[Delivery]:
        """Entries that were read and are in no consumer's hands: nobody will work on them. Oldest first.

        One that is being acknowledged may be among them. [] when the group is gone.
        """

    async def depth(self, stream: str) -> int:
        """Entries in the stream, 0 when it does not exist."""

    async def incarnation(self) -> str:
        """A text that changes whenever the server may have lost its memory (restart, flush, restore)."""

    def subscribe(self, channels: Sequence[str]) -> Subscription:
        """Listen to channels; `*` is a wildcard."""

    async def close(self) -> None:
        """Release the connections."""
