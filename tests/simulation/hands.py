"""What a worker of the simulation has in its hands."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.ports.bus import Delivery, Outgoing
from tests.simulation.parcels import Event


@dataclass(slots=True)
class Held:
    """started: it has a slot. runs: it really does, which for a suspect comes after a heartbeat.

    asks_until: an old one waits for the owner's word until then.
    """

    event: Event
    delivery: Delivery
    execution_id: str
    alone: bool
    started: bool = False
    runs: bool = False
    asks_until: float | None = None
    confirmed: bool = False
    calm: bool = False
    paid: bool = True
    """Whether its allowance bore what it costs."""


@dataclass(slots=True)
class Kept:
    dispatch_id: str
    alone: bool
    outgoing: Outgoing
    deliveries: list[Delivery]
    due: float = 0.0
    said: bool = False
