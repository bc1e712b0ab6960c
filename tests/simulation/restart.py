"""The start of an owner: what was committed and not published is looked for at once, not a lease later."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from contracts.messages.channels import Channels
from tests.simulation.crew import Crew
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_store import ModelStore
from tests.simulation.model_worker import STREAMS, SUSPECTS
from tests.simulation.parcels import unwrap
from tests.simulation.violations import check

ROUNDS = 3
"""One in which it starts, one in which it hears that all outcomes are read, one to spare; the first look that
an owner takes anyhow comes half a lease after it has heard of its bus, which is later.
"""


@dataclass(slots=True)
class Restart:
    """Waits for what only the outbox knows of when the owner dies."""

    store: ModelStore
    bus: ModelBus
    crew: Crew
    _owed: list[tuple[str, str, str]] = field(default_factory=list)
    _rounds: int = 0

    def owner_would_owe(self) -> bool:
        """Look, while no owner runs, for dispatches that the outbox alone has."""
        known = self._known()
        self._owed = [
            (entry.workflow_id, entry.task_id, entry.entry_id)
            for entry in self.store.unpublished()
            if entry.entry_id not in known
        ]
        self._rounds = 0
        return bool(self._owed)

    def _known(self) -> set[str]:
        """What a stream, a worker or an outcome knows of."""
        known = {unwrap(payload).id for stream in STREAMS + SUSPECTS for payload in self.bus.payloads(stream)}
        known |= {unwrap(payload).data.dispatch_id for payload in self.bus.payloads(Channels.results(0))}
        for worker in self.crew.workers.values():
            known |= {*worker.held, *(kept.dispatch_id for kept in worker.kept.values())}
            known |= {unwrap(delivery.payload).id for _, delivery in worker.letters}
        return known

    def round_over(self, published: Set[str]) -> None:
        """After a calm round; `published`: all dispatches since the owner died."""
        self._rounds += 1
        if self._rounds == ROUNDS:
            for name in self._owed:
                found = name[2] in published or not self.store.current(*name)
                check(found, f"I4: {name[2]} was committed, and is not looked for after a start")
