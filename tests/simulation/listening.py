"""The owner's listeners, one step at a time: what orchestrator.service.sources runs as coroutines."""

from __future__ import annotations

from contextlib import suppress

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from orchestrator.service.inbox import BusAway, BusReset
from orchestrator.service.sources import CONSUMER, OutcomeReader
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_store import ModelStore
from tests.simulation.stepping import run
from tests.simulation.violations import check
from tests.simulation.wiring import Life

STREAMS = (Channels.results(0), Channels.DEAD_LETTERS)


class Listening:
    def __init__(self, bus: ModelBus, store: ModelStore, session: Life, batch: int) -> None:
        self._bus = bus
        self._store = store
        self._session = session
        self._batch = batch
        self._seen: set[str] = set()
        self._life: str | None = None
        self._reader = self._new_reader()

    def _new_reader(self) -> OutcomeReader:
        return OutcomeReader(self._bus, STREAMS, self._session.inbox, self._batch, self._session.gate)

    def step(self) -> None:
        self._health()
        self._commands()
        with suppress(BusUnavailable):
            answered = self._session.gate.answered
            run(self._reader.read(0))
            self._check(answered)

    def _check(self, answered: int) -> None:
        """After a read whose answer has come."""
        gate, read = self._session.gate, self._session.inbox.read
        for stream in STREAMS:
            unheard = self._bus.in_hands(stream, Channels.ORCHESTRATORS_GROUP, CONSUMER) - read
            check(not unheard, f"I1: {stream} was given to the owner and not read: {sorted(unheard)}")
        if gate.answered > answered:
            gate.answer_is_true(gate.answered, read)

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
            self._reader = self._new_reader()  # the connection was cut, and with it what was being read
