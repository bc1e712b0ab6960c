"""Whether the bus is available, and whether it is still the same one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.base.errors import BusUnavailable
from contracts.ports.bus import InspectPort
from contracts.runtime.outage import Outage, logged_outage
from orchestrator.service.inbox import BusAway, BusReset, InboxMessage
from orchestrator.service.metrics import OrchestratorMetrics

CHECK_SECONDS = 1.0


@dataclass(slots=True)
class BusHealth:
    """Checks the bus, and puts what it finds into the inbox."""

    bus: InspectPort
    inbox: asyncio.Queue[InboxMessage]
    report: Callable[[str], None]
    """Is told what the orchestrator waits for, and "" once the bus is available."""
    wall: Callable[[], float]
    metrics: OrchestratorMetrics
    outage: Outage = field(default_factory=logged_outage)

    async def run(self) -> None:
        """Run until cancelled."""
        known: str | None = None
        away_since: str | None = None
        while True:
            try:
                with self.metrics.bus_seconds.time():
                    current = await self.bus.incarnation()
            except BusUnavailable as error:
                away_since = away_since or time.strftime("%H:%M:%S", time.gmtime(self.wall()))
                self.outage.away(error)
                self.metrics.away("bus", True)
                self.report(f"waiting for Redis since {away_since} UTC: {error}")
                await self.inbox.put(BusAway())
            else:
                away_since = None
                self.outage.back()
                self.metrics.away("bus", False)
                self.report("")
                if current != known:
                    known = current
                    await self.inbox.put(BusReset())
            await asyncio.sleep(CHECK_SECONDS)
