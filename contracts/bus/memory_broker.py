"""The "server" of the bus in memory, and subscriptions to its channels."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.bus.mailbox import Mailbox


@dataclass(slots=True)
class Group:
    """A consumer group."""

    last: int = 0
    """The last entry that was delivered."""
    pending: dict[str, list[int]] = field(default_factory=dict)
    """Consumer -> delivered entries that it has not acknowledged."""


@dataclass(slots=True)
class Stream:
    """A stream: its entries by number, and its consumer groups by name."""

    entries: dict[int, bytes] = field(default_factory=dict)
    newest: int = 0
    groups: dict[str, Group] = field(default_factory=dict)


class MemoryBroker:
    """The "server" that several MemoryBus objects share. Its switches model the failures of a server."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._incarnation = secrets.token_hex(16)
        self._running = True
        self._changed = asyncio.Event()
        self._listeners: dict[Mailbox, list[re.Pattern[str]]] = {}

    def lose_memory(self) -> None:
        """Delete everything, as FLUSHALL does; blocked readers raise GroupMissing."""
        self._streams.clear()
        self._incarnation = secrets.token_hex(16)
        self.wake()

    def stop(self) -> None:
        """Be unreachable until `start`."""
        self._running = False
        self.wake()

    def start(self) -> None:
        """Be reachable again, with no data."""
        self._running = True
        self.lose_memory()

    def check_running(self) -> None:
        """Raise BusUnavailable while stopped."""
        if not self._running:
            raise BusUnavailable("the bus in memory is stopped")

    def incarnation(self) -> str:
        """Return what InspectPort.incarnation does."""
        return self._incarnation

    def stream(self, name: str) -> Stream | None:
        """Return the stream, None when it does not exist."""
        return self._streams.get(name)

    def made_stream(self, name: str) -> Stream:
        """Return the stream, created if needed."""
        return self._streams.setdefault(name, Stream())

    def group(self, stream: str, group: str) -> tuple[Stream, Group]:
        """Return both. Raises GroupMissing."""
        found = self._streams.get(stream)
        if found is None or group not in found.groups:
            raise GroupMissing(f"the bus in memory has no group {group!r} on stream {stream!r}")
        return found, found.groups[group]

    def append(self, name: str, payload: bytes) -> None:
        """Store an entry and wake the readers."""
        stream = self.made_stream(name)
        stream.newest += 1
        stream.entries[stream.newest] = payload
        self.wake()

    def announce(self, channel: str, payload: bytes) -> None:
        """Deliver the payload to each subscription, once for every name of it that matches."""
        for mailbox, patterns in self._listeners.items():
            for pattern in patterns:
                if pattern.fullmatch(channel):
                    mailbox.put(channel, payload)

    def listen(self, mailbox: Mailbox, patterns: list[re.Pattern[str]]) -> None:
        """Deliver to the mailbox from now on."""
        self._listeners[mailbox] = patterns

    def unlisten(self, mailbox: Mailbox) -> None:
        """Stop delivering to the mailbox."""
        self._listeners.pop(mailbox, None)

    async def change(self, seconds: float) -> None:
        """Return at the next change, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def wake(self) -> None:
        """Wake all readers."""
        self._changed.set()
        self._changed = asyncio.Event()


class MemorySubscription:
    """Subscription in memory, which begins with `ready()` or the first step of the iteration."""

    def __init__(
        self,
        broker: MemoryBroker,
        channels: Sequence[str],
        closed: Callable[[MemorySubscription], object],
    ) -> None:
        """`closed` is called with the subscription when it is closed."""
        self._broker = broker
        self._on_closed = closed
        self._patterns = [
            re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL) for name in channels
        ]
        self._mailbox = Mailbox()
        self._closed = False

    async def ready(self) -> None:
        """Listen from now on. Raises BusUnavailable while the broker is stopped."""
        self._broker.check_running()
        self._listen()

    def __aiter__(self) -> MemorySubscription:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        self._listen()
        message = await self._mailbox.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def close(self) -> None:
        """End the iteration. Again is a no-op."""
        self._closed = True
        self._broker.unlisten(self._mailbox)
        self._mailbox.close()
        self._on_closed(self)

    def _listen(self) -> None:
        if not self._closed:
            self._broker.listen(self._mailbox, self._patterns)
