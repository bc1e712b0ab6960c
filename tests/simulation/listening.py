"""The owner's listeners, one step at a time: what orchestrator.service.sources does in five coroutines."""

from __future__ import annotations

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.messages.channels import Channels
from orchestrator.service.inbox import BusAway, BusReset, Drained
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_store import ModelStore
from tests.simulation.stepping import run
from tests.simulation.wiring import Life

_STREAMS = [Channels.results(0)]


class Listening:
    def __init__(self, bus: ModelBus, store: ModelStore, session: Life, batch: int) -> None:
        self._bus = bus
        self._store = store
        self._session = session
        self._batch = batch
        self._drained = False
        self._seen: set[str] = set()
        self._life: str | None = None

    def step(self) -> None:
        self._health()
        self._commands()
        try:
            self._outcomes()
        except (GroupMissing, BusUnavailable):
            self._drained = False

    def _outcomes(self) -> None:
        inbox, gate = self._session.inbox, self._session.gate
        if not self._drained:
            run(self._bus.ensure_group(_STREAMS[0], Channels.ORCHESTRATORS_GROUP))
            inbox.extend(run(self._bus.pending(_STREAMS[0], Channels.ORCHESTRATORS_GROUP, "owner")))
            self._drained = True
        asked = gate.asked
        reading = self._bus.read(
            _STREAMS, Channels.ORCHESTRATORS_GROUP, "owner", count=self._batch, block_ms=0
        )
        deliveries = run(reading)
        inbox.extend(deliveries)
        if asked > gate.answered and len(deliveries) < self._batch:
            gate.answered = asked
            inbox.append(Drained(asked))

    def _commands(self) -> None:
        waiting = run(self._store.waiting_commands(self._session.assignment))
        if waiting or self._seen:
            self._session.inbox.extend(one for one in waiting if one.command_id not in self._seen)
            self._seen = {one.command_id for one in waiting}

    def _health(self) -> None:
        try:
            life = run(self._bus.incarnation())
        except BusUnavailable:
            self._session.inbox.append(BusAway())
            return
        if life != self._life:
            self._life = life
            self._session.inbox.append(BusReset())
