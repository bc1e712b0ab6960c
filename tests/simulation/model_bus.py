"""The bus as a model: streams, groups and pending entries in memory, and its faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.messages.channels import Channels
from contracts.ports.bus import Delivery, Done, Outgoing
from tests.simulation.choices import Choices
from tests.simulation.cut_reads import CutReads
from tests.simulation.violations import Crash


@dataclass(slots=True, eq=False)
class Group:
    cursor: int = 0
    pending: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What the server holds, and may lose."""

    streams: dict[str, dict[int, bytes]] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    last: int = 0

    def copy(self) -> Memory:
        """Which nothing that happens here changes."""
        streams = {name: dict(entries) for name, entries in self.streams.items()}
        groups = {place: Group(group.cursor, dict(group.pending)) for place, group in self.groups.items()}
        return Memory(streams, groups, self.last)


class ModelBus:
    """The ports that publish, consume and inspect; nothing suspends.

    `owner_calls`: a fault may then be the death of the caller.

    published, heard and settled are told of what goes to streams and channels, and of acknowledged outcomes.
    """

    def __init__(
        self,
        choices: Choices,
        published: Callable[[Outgoing], None],
        heard: Callable[[Outgoing], None],
        settled: Callable[[Delivery], None],
        fault: float,
        now: Callable[[], float],
    ) -> None:
        self._choices = choices
        self._published = published
        self._heard = heard
        self._settled = settled
        self._likely = fault
        self._memory = Memory()
        self._copy = Memory()
        self.life = 0
        self.now = now
        self.cut_reads = CutReads(choices, now, self._serve)
        self.away = False
        self.owner_calls = False

    @property
    def newest(self) -> int:
        """The number of the newest entry."""
        return self._memory.last

    def entry_ids(self, stream: str, newest: int) -> set[str]:
        """What lies on a stream and is not newer than this."""
        return {str(number) for number in self._memory.streams.get(stream, {}) if number <= newest}

    def payloads(self, stream: str) -> list[bytes]:
        """What lies on a stream."""
        return list(self._memory.streams.get(stream, {}).values())

    def in_hands(self, stream: str, group: str, consumer: str) -> set[str]:
        """What lies on a stream and was given to this consumer."""
        place = self._memory.groups.get((stream, group))
        entries = self._memory.streams.get(stream, {})
        held = place.pending.items() if place else ()
        return {str(number) for number, name in held if name == consumer and number in entries}

    # --- faults --------------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep a copy, for `restore`."""
        self._copy = self._memory.copy()

    def restore(self) -> None:
        """The server is back with an old copy."""
        last = self._memory.last
        self._memory = self._copy.copy()
        self._memory.last = last
        self._is_another()

    def flush(self) -> None:
        """The server has lost everything."""
        self._memory = Memory(last=self._memory.last)
        self._is_another()

    def _is_another(self) -> None:
        self.life += 1
        self.cut_reads.forget()

    def destroy(self) -> None:
        """Somebody deletes a stream, or its group alone; the server is still the one it was."""
        places = list(self._memory.groups)
        if places:
            place = places[self._choices.below(len(places))]
            del self._memory.groups[place]
            if self._choices.below(2):
                self._memory.streams.pop(place[0], None)

    def steal(self, stream: str, group: str, consumer: str) -> None:
        """Somebody reads in a consumer's name, and vanishes."""
        if not self.away:
            self._serve([stream], group, consumer, 1)

    def _before(self) -> int:
        if self.away:
            raise BusUnavailable("away")
        kind = self._choices.fault(self._likely, 4 if self.owner_calls else 2)
        if kind == 1:
            raise BusUnavailable("not sent")
        if kind == 3:
            raise Crash("before a call of the bus")
        return kind

    def _after(self, kind: int) -> None:
        if kind == 2:
            raise BusUnavailable("the answer was lost")
        if kind == 4:
            raise Crash("after a call of the bus")

    # --- the port ------------------------------------------------------------------------------------

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        kind = self._before()
        if done:
            self._remove(done)
        self._append(messages)
        for hint in hints:
            self._heard(hint)
        self._after(kind)

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        kind = self._before()
        self._append(messages, returned=[delivery.payload for delivery in done.deliveries])
        self._remove(done)
        self._after(kind)

    def _append(self, messages: Sequence[Outgoing], returned: Sequence[object] = ()) -> None:
        """`returned`: what a worker puts back to where it was, which is no publication."""
        memory = self._memory
        for message in messages:
            if not any(message.payload is payload for payload in returned):
                self._published(message)
            memory.last += 1
            memory.streams.setdefault(message.stream, {})[memory.last] = message.payload
            self.cut_reads.arrived(message.stream)

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        if self.away:
            raise BusUnavailable("away")
        for message in messages:
            self._heard(message)

    async def ensure_group(self, stream: str, group: str) -> None:
        if self.away:
            raise BusUnavailable("away")
        self._memory.streams.setdefault(stream, {})
        self._memory.groups.setdefault((stream, group), Group())

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        kind = self._before()
        groups = self._memory.groups
        places = [groups.get((stream, group)) for stream in streams]
        if None in places:
            raise GroupMissing(streams[places.index(None)])
        if self.cut_reads.cut(streams, group, consumer, count, block_ms):
            raise BusUnavailable("the connection was cut")
        found = self._serve(streams, group, consumer, count)
        self._after(kind)
        return found

    def _serve(self, streams: Sequence[str], group: str, consumer: str, count: int) -> list[Delivery]:
        """Give a consumer what is new."""
        found: list[Delivery] = []
        for stream in streams:
            place, entries = self._memory.groups.get((stream, group)), self._memory.streams.get(stream)
            if place is None or not entries:
                continue
            new = [number for number in entries if number > place.cursor][:count]
            for number in new:
                place.pending[number] = consumer
                place.cursor = number
                found.append(Delivery(stream, str(number), entries[number]))
        return found

    async def ack(self, group: str, deliveries: Sequence[Delivery]) -> None:
        kind = self._before()
        self._remove(Done(group, deliveries))
        self._after(kind)

    def _remove(self, done: Done) -> None:
        for delivery in done.deliveries:
            if done.group == Channels.ORCHESTRATORS_GROUP:
                self._settled(delivery)
            number = int(delivery.entry_id)
            self._memory.streams.get(delivery.stream, {}).pop(number, None)
            place = self._memory.groups.get((delivery.stream, done.group))
            if place is not None:
                place.pending.pop(number, None)

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        kind = self._before()
        place = self._memory.groups.get((stream, group))
        entries = self._memory.streams.get(stream, {})
        owed = place.pending.items() if place else ()
        found = [
            Delivery(stream, str(number), entries[number])
            for number, name in owed
            if name == consumer and number in entries
        ]
        self._after(kind)
        return found

    async def consumers(self, stream: str, group: str) -> list[str]:
        if self.away:
            raise BusUnavailable("away")
        place = self._memory.groups.get((stream, group))
        return sorted(set(place.pending.values())) if place else []

    async def holders(self, stream: str, group: str) -> dict[str, str]:
        if self.away:
            raise BusUnavailable("away")
        place = self._memory.groups.get((stream, group))
        return {str(number): name for number, name in place.pending.items()} if place else {}

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        """Nothing is known here of a consumer that has no entries in its hands."""
        self._after(self._before())

    async def entries(self, stream: str) -> list[Delivery]:
        if self.away:
            raise BusUnavailable("away")
        entries = self._memory.streams.get(stream, {})
        return [Delivery(stream, str(number), payload) for number, payload in entries.items()]

    async def orphaned(self, stream: str, group: str) -> list[Delivery]:
        if self.away:
            raise BusUnavailable("away")
        place = self._memory.groups.get((stream, group))
        entries = self._memory.streams.get(stream, {})
        return [
            Delivery(stream, str(number), payload)
            for number, payload in entries.items()
            if place and number <= place.cursor and number not in place.pending
        ]

    async def depth(self, stream: str) -> int:
        return len(self._memory.streams.get(stream, {}))

    async def incarnation(self) -> str:
        if self.away:
            raise BusUnavailable("away")
        return str(self.life)
