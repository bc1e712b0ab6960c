"""The message bus: streams with consumer groups that carry work, and channels that mirror them.

Delivery is at least once, and the bus may lose everything at any time: its users must be able to publish
again. Every method raises BusUnavailable when the server cannot be reached or answers with an error of its
own. No method retries a write by itself.

Annotate a user with the smallest port that it needs, so that a fake implements only what it fakes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class Outgoing(NamedTuple):
    """One message for a stream."""

    stream: str
    payload: bytes
    """An encoded TaskEvent."""


class Delivery(NamedTuple):
    """One message as read from a stream."""

    stream: str
    entry_id: str
    """The bus' own name for the entry."""
    payload: bytes


class Done(NamedTuple):
    """Deliveries of one group that need no more attention."""

    group: str
    deliveries: Sequence[Delivery]


class Subscription(Protocol):
    """(channel, payload) pairs until closed. Lossy by design."""

    def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]: ...

    async def ready(self) -> None:
        """Return when everything sent from now on will be heard."""

    async def close(self) -> None: ...


class BroadcastPort(Protocol):
    """Tells those who listen now."""

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        """Send to the channels alone: whoever subscribes now hears it, and nothing is stored."""


class PublishPort(BroadcastPort, Protocol):
    """Sends messages."""

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        """Acknowledge `done`, append each message to its stream, and broadcast `hints`, in one pipeline.

        Where one part fails, the others may have been done. Each message is mirrored on the channel of its
        stream's name, for whoever subscribed before it was stored.
        """

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        """Publish the messages and acknowledge what led to them: both or neither."""


class ConsumePort(Protocol):
    """Reads the streams of a consumer group and acknowledges what was read."""

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

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        """Delete the consumer unless it has pending entries, which no consumer would hold then."""


class InspectPort(Protocol):
    """Looks at streams and at the server, and changes nothing."""

    async def entries(self, stream: str) -> list[Delivery]:
        """Everything in the stream, read or not, oldest first. [] when it does not exist."""

    async def orphaned(self, stream: str, group: str) -> list[Delivery]:
        """Entries that were read and that no consumer holds, so that nobody works on them. Oldest first.

        One that is being acknowledged may be among them. [] when the group is gone.
        """

    async def consumers(self, stream: str, group: str) -> list[str]:
        """The consumers with pending entries, sorted. [] when the group is gone."""

    async def holders(self, stream: str, group: str) -> dict[str, str]:
        """Entry id -> the consumer that has read it and not acknowledged it. {} when the group is gone.

        An entry that was deleted otherwise may be among them.
        """

    async def depth(self, stream: str) -> int:
        """The number of entries in the stream, 0 when it does not exist."""

    async def incarnation(self) -> str:
        """A text that changes whenever the server may have lost its memory (restart, flush, restore)."""


class SubscribePort(Protocol):
    """Listens to channels."""

    def subscribe(self, channels: Sequence[str]) -> Subscription:
        """Listen to channels from now on; `*` is a wildcard."""


class MessageBus(PublishPort, ConsumePort, InspectPort, SubscribePort, Protocol):
    """The whole bus, as an adapter implements it and the composition root hands it out."""

    async def close(self) -> None:
        """Release the connections."""
