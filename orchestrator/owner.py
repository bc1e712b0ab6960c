"""The owner of the state: one loop that turns what arrives into batches, commits them and then acts.

The order within a batch is the whole of its safety: decide, commit, publish, acknowledge. Whatever is lost
after the commit is repeated (outbox, resent outcomes, sweep), and repeating it is harmless (I1, I2).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from contracts.errors import StoreUnavailable
from contracts.ports import ArtifactStore, MessageBus
from orchestrator.arrivals import Arrival
from orchestrator.engine import Engine
from orchestrator.handlers import TICK_SECONDS, Handlers
from orchestrator.keeper import Keeper
from orchestrator.leases import Leases
from orchestrator.listeners import Listeners
from orchestrator.metrics import OwnerMetrics
from orchestrator.publisher import Publisher
from orchestrator.recovery import DrainGate, Recovery
from orchestrator.store import OwnershipLost, Store
from orchestrator.wishes import Wishes

log = structlog.get_logger("orchestrator")


@dataclass(frozen=True, slots=True)
class OwnerSettings:
    """lease_seconds: silence after which a worker is dead; three heartbeats long.

    window: dispatches out at once. batch: inputs in one transaction.
    """

    owner_id: str
    lease_seconds: float = 6.0
    window: int = 1024
    batch: int = 256


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as a port: wall time in seconds since 1970, and a monotonic clock."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Owner:
    """Runs every open workflow of a database until stopped.

    An outage of the database ends the session: the state is read again when it is back. An outage of the bus
    only delays.
    """

    store: Store
    bus: MessageBus
    artifacts: ArtifactStore
    settings: OwnerSettings
    clock: Clock = field(default_factory=Clock)
    metrics: OwnerMetrics = field(default_factory=OwnerMetrics)
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """End `run` after the batch at hand."""
        self.stopping.set()

    async def run(self) -> None:
        """Own, serve, and own again after an outage, until `stop`."""
        wait = 0.05
        while not self.stopping.is_set():
            try:
                epoch = await self._claim()
                if epoch is None:
                    return
                wait = 0.05
                await self._session(epoch)
            except* (StoreUnavailable, OwnershipLost) as group:
                log.warning("session_ended", reason=str(group.exceptions[0]), again_in_seconds=wait)
                await self._pause(wait)
                wait = min(wait * 2, 2.0)

    async def _claim(self) -> int | None:
        """Take the shards when they are free, or when their owner's counter stood still for a lease."""
        while not self.stopping.is_set():
            seen, free = await self.store.renewals()
            if not free:
                await self._pause(self.settings.lease_seconds)
                again, free = await self.store.renewals()
                if not free and again != seen:
                    log.info("standing_by", reason="another orchestrator is alive")
                    continue
            return await self.store.claim(self.settings.owner_id)
        return None

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

    async def _session(self, epoch: int) -> None:
        """From reading the state to the end of the ownership; raises a group of what ended it."""
        engine = Engine(self.new_id, self.settings.window)
        publisher = Publisher(self.bus, engine, self.new_id, self.clock.wall)
        inbox: asyncio.Queue[Arrival] = asyncio.Queue(maxsize=4 * self.settings.batch)
        keeper = Keeper(self.artifacts, inbox, publisher.settled)
        leases = Leases(self.settings.lease_seconds)
        gate = DrainGate()
        recovery = Recovery(self.bus, engine, leases, gate)
        wishes = Wishes(engine, self.store, self.bus)
        handlers = Handlers(engine, leases, publisher, self.store, self.bus, self.metrics, recovery, wishes)
        for workflow in await self.store.load_open():
            engine.adopt(workflow, self.clock.monotonic())
        keeper.add(await handlers.resume(await self.store.outbox()), [])
        self.metrics.recoveries.inc()
        async with asyncio.TaskGroup() as group:
            listeners = Listeners(self.bus, self.store, inbox, self.settings.batch, gate)
            running = [*listeners.jobs(), keeper.run(), self._renew(epoch)]
            jobs = [group.create_task(job) for job in running]
            self.ready.set()
            while not self.stopping.is_set():
                await self._step(epoch, inbox, handlers, keeper)
            for job in jobs:
                job.cancel()
        await self.store.release(epoch)

    async def _step(
        self, epoch: int, inbox: asyncio.Queue[Arrival], handlers: Handlers, keeper: Keeper
    ) -> None:
        """One batch, from what arrived to what follows from it."""
        items = await self._gather(inbox, handlers.engine.next_timer())
        handlers.begin(self.clock.wall(), self.clock.monotonic())
        for item in items:
            await handlers.take(item)
        await handlers.tick()
        batch, effects = handlers.engine.flush(handlers.now)
        if not batch.empty:
            batch.settled = handlers.publisher.take_settled()
            with self.metrics.commit_seconds.time():
                await self.store.commit(batch, epoch)
        await handlers.publish(effects)
        workflows = handlers.engine.workflows
        keeper.add(effects.refs, [workflows[name] for name in effects.merges if name in workflows])
        handlers.engine.drop_ended(effects.changed)
        self.metrics.out.set(len(handlers.engine.out))
        self.metrics.open_workflows.set(len(workflows))

    async def _gather(self, inbox: asyncio.Queue[Arrival], timer: float | None) -> list[Arrival]:
        """Everything that has arrived, up to a batch; waits for the first until the next timer."""
        wait = TICK_SECONDS if timer is None else timer - self.clock.monotonic()
        items: list[Arrival] = []
        # Not wait_for: before Python 3.12 it can swallow a cancellation that meets an arrival.
        try:
            async with asyncio.timeout(min(TICK_SECONDS, max(0.0, wait))):
                items.append(await inbox.get())
        except TimeoutError:
            return items
        while len(items) < self.settings.batch and not inbox.empty():
            items.append(inbox.get_nowait())
        return items

    async def _renew(self, epoch: int) -> None:
        while True:
            await asyncio.sleep(self.settings.lease_seconds / 3)
            await self.store.renew(epoch)
