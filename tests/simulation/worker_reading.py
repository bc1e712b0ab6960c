"""How a worker of the simulation reads: the real reader, on a connection that a restart of the bus cuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from contracts.ports.bus import Delivery
from contracts.runtime.reading import Entry, Reader, Source
from tests.simulation.model_bus import ModelBus
from tests.simulation.stepping import run
from tests.simulation.violations import check

BLOCK_MS = 1_000
"""Longer than in the field, where as much can happen meanwhile as here in ten steps."""


class Connection:
    """A bus that has been another one since the last call is away once."""

    def __init__(self, bus: ModelBus) -> None:
        self._bus = bus
        self._life = bus.life

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        self._notice_a_cut()
        return await self._bus.read(streams, group, consumer, count=count, block_ms=block_ms)

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        self._notice_a_cut()
        return await self._bus.pending(stream, group, consumer)

    def _notice_a_cut(self) -> None:
        if self._life != self._bus.life:
            self._life = self._bus.life
            raise BusUnavailable("the connection was cut")


class SteppedReader(Reader):
    """The real reader, at the time of the simulation."""

    def __init__(
        self,
        bus: ModelBus,
        name: str,
        streams: Sequence[str],
        suspects: Sequence[str],
        known: Callable[[], Set[Entry]],
    ) -> None:
        self._all_streams = (*streams, *suspects)
        self._name = name
        self._model = bus
        # Who reads nothing but suspects reads them as a slot process for suspects does.
        source = Source(
            Channels.WORKERS_GROUP, name, streams or suspects, suspects, BLOCK_MS, in_turn=not streams
        )
        super().__init__(Connection(bus), source, known)

    def step(self, count: int) -> list[Delivery]:
        """Raises BusUnavailable and GroupMissing."""
        found = run(self.read(count))
        self._check({(one.stream, one.entry_id) for one in found})
        return found

    def _check(self, found: set[Entry]) -> None:
        """Without a doubt the worker knows all that was given to it."""
        if self._doubtful_until is not None:
            return
        for stream in self._all_streams:
            held = self._model.in_hands(stream, Channels.WORKERS_GROUP, self._name)
            unheard = {(stream, one) for one in held} & self._model.cut_reads.unheard
            unknown = unheard - found - self._known()
            check(not unknown, f"I1: {self._name} was given what it never heard of: {sorted(unknown)}")

    def _now(self) -> float:
        return self._model.now()
