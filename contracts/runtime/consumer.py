"""The consumer: reads messages off the bus, runs them in slots, and resends each reply
until it is confirmed.

The order of things, and what depends on it:

1. Before the first read, listen to control messages and send a heartbeat: a server that has read something
   can be told about it, and its death is noticed. Reading goes on when the subscription is lost later:
   control messages are lossy, and their senders repeat them. Jobs that call `receive` keep to no order.
2. With late acknowledgement an entry is acknowledged in the step that stores its reply, so that neither
   exists without the other (I1). With early acknowledgement the sender remembers the message.
3. A message that its handler finds doubtful is listed in a heartbeat as not started, and starts when
   `confirm` names it, or after a while without a word.
4. On `stop` a read under way is waited for, for as long as it may block, because a cancelled read may have
   been served.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import structlog

from contracts.base.errors import BusUnavailable, DecodeError, GroupMissing
from contracts.base.failpoints import failpoint_of
from contracts.base.timestamps import rfc3339
from contracts.ports.bus import Delivery, MessageBus
from contracts.runtime.backoff import Backoff
from contracts.runtime.breaker import CircuitBreaker
from contracts.runtime.dead_letter import dead_letter
from contracts.runtime.handler import ConsumerSettings, Handler
from contracts.runtime.heartbeat import Heartbeats
from contracts.runtime.outage import logged_outage
from contracts.runtime.outbox import Outbox
from contracts.runtime.reading import Reader
from contracts.runtime.resend import Reply
from contracts.runtime.slots import InFlight, Slots
from contracts.runtime.subscription import SubscriptionLoop

_CLOSE_SECONDS: Final = 0.2
_log = structlog.get_logger(__name__)

M = TypeVar("M")
R = TypeVar("R")


class Consumer(Generic[M, R]):
    """Serves messages with one handler. An absent bus only delays: executions go on, replies are kept."""

    def __init__(self, bus: MessageBus, handler: Handler[M, R], settings: ConsumerSettings) -> None:
        """The bus stays the caller's, who closes it."""
        self._bus = bus
        self._handler = handler
        self._settings = settings
        self._breaker = CircuitBreaker(time.monotonic)
        self._stopping = asyncio.Event()
        self._handed_back: list[str] = []
        self._asks = False
        self.slots: Slots[M, R] = Slots(
            lambda: self._breaker.limit(settings.slots), self._execute, self._finished, self._removed
        )
        self.outbox = Outbox(
            bus,
            settings.source.group,
            settings.resend,
            kept=self.receive,
            broadcast=not settings.acks_late,
            failpoints=settings.failpoints,
        )
        self._heartbeats = Heartbeats(bus, settings.heartbeat_seconds, handler.heartbeat)
        self._control = SubscriptionLoop(bus, settings.channels, handler.handle_control, settings.max_bytes)
        self._reader = Reader(bus, settings.source, lambda: self.slots.entries | self.outbox.entries)

    @property
    def stopping(self) -> bool:
        """Whether it takes no more messages."""
        return self._stopping.is_set()

    @property
    def handed_back(self) -> tuple[str, ...]:
        """The keys of messages that were received and will not be finished."""
        return tuple(self._handed_back)

    def stop(self) -> None:
        """Take no new message, finish or hand back what is in flight, leave. Safe in a signal handler."""
        self.slots.close()
        self._stopping.set()

    async def run(self, *jobs: Coroutine[Any, Any, None]) -> None:
        """Work until `stop`; `jobs` run beside. Raises what ends any of them."""
        beating = () if self._settings.heartbeat_seconds is None else (self._heartbeats.run(),)
        steps = (self._control.run(), *beating, self.outbox.run(), *jobs, self._read())
        tasks = [asyncio.create_task(step) for step in steps]
        stopped: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            broken = [task for task in tasks if task.done()]
            await self._leave(tasks)
            for task in broken:
                await task
        finally:
            self.slots.abort()
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.wait([stopped, *tasks], timeout=_CLOSE_SECONDS)

    def receive(self, deliveries: Sequence[Delivery]) -> None:
        """Start what can be understood and is new."""
        for delivery in deliveries:
            self._receive(delivery)
        if deliveries:
            self._handler.changed()

    def confirm(self, key: str) -> None:
        """Start a doubtful message: it is up to date."""
        self.slots.confirm(key)

    def revoke(self, key: str) -> None:
        """Forget a message: its execution ends without a reply."""
        delivery = self.slots.revoke(key)
        if delivery is not None:
            _log.info("execution_revoked", key=key)
            self.outbox.ack(delivery)
        self.outbox.discard(key)

    # --- reading

    async def _read(self) -> None:
        await self._control.listening.wait()
        await self._heartbeats.send_until_heard()
        backoff, absent, outage = Backoff(), Backoff(0.02, 0.2), logged_outage()
        while not self._stopping.is_set():
            count = await self.slots.wait_free()
            try:
                deliveries = await self._reader.read(count)
                backoff.reset()
                outage.back()
                absent.reset()
            except GroupMissing:
                await self._group_missing(absent)
            except BusUnavailable as error:
                outage.away(error)
                self._handler.unreachable(error)
                await backoff.wait()
            else:
                if deliveries:
                    failpoint_of(self._settings.failpoints, "after_read")
                self.receive(deliveries)
                await self._ask()
                # They start, and what ends at once is answered, before the next read is sent.
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    async def _ask(self) -> None:
        """Say at once what is doubtful; the heartbeats after this one repeat it."""
        if self._asks:
            self._asks = False
            with suppress(BusUnavailable):
                await self._heartbeats.send()

    async def _group_missing(self, absent: Backoff) -> None:
        if (source := self._settings.source).creates_group:
            with suppress(BusUnavailable):
                for stream in source.streams:
                    await self._bus.ensure_group(stream, source.group)
            return
        if absent.fresh:
            _log.info("group_missing")
        # Whoever creates groups does so for a consumer that it hears.
        self.outbox.resend_all()
        await self._heartbeats.send_until_heard()
        await absent.wait()

    def _receive(self, delivery: Delivery) -> None:
        try:
            key, unpack = self._handler.decode(delivery)
            if not self._answer_duplicate(key, delivery):
                self._accept(key, unpack, delivery)
        except DecodeError as error:
            self._dead_letter(delivery, error.reason)

    def _answer_duplicate(self, key: str, delivery: Delivery) -> bool:
        """Acknowledge a message received before, with its reply if it has one; False for a new one."""
        if key in self.slots or self._handler.is_over(key):
            _log.info("duplicate_received", key=key)
            self.outbox.ack(delivery)
            return True
        if self.outbox.repeat(key, delivery):
            _log.info("duplicate_of_finished_received", key=key)
            return True
        return False

    def _accept(self, key: str, unpack: Callable[[], M], delivery: Delivery) -> None:
        if self._stopping.is_set():
            self._handed_back.append(key)
        else:
            self._add(key, unpack(), delivery)
        if not self._settings.acks_late:
            self.outbox.ack(delivery)

    def _add(self, key: str, message: M, delivery: Delivery) -> None:
        exclusive = delivery.stream in self._settings.source.exclusive_streams
        is_excess = self._settings.returns_excess and not self.slots.free
        if is_excess and self.outbox.put_back(delivery):
            return
        in_flight = InFlight(key, message, delivery, self._settings.new_id(), exclusive)
        self._handler.received(in_flight)
        if self._handler.is_doubtful(in_flight):
            in_flight.confirmed, self._asks = False, True
            asyncio.get_running_loop().call_later(self._settings.doubt_seconds, self.slots.confirm, key)
        self.slots.add(in_flight)

    def _dead_letter(self, delivery: Delivery, reason: str) -> None:
        _log.warning("message_dead_lettered", stream=delivery.stream, entry=delivery.entry_id, reason=reason)
        self._handler.dead_lettered()
        settings = self._settings
        letter = dead_letter(
            delivery,
            reason,
            event_id=settings.new_id(),
            source=settings.name,
            time=rfc3339(settings.clock()),
        )
        self.outbox.dead_letter(letter, delivery)

    # --- executing

    async def _execute(self, message: InFlight[M]) -> R:
        self._handler.started(message)
        if message.exclusive:
            # A death from now on is held against this message only because others know that it runs alone.
            await self._heartbeats.send_until_heard()
        return await self._handler.execute(message)

    def _finished(self, message: InFlight[M], result: R | None) -> None:
        self.outbox.reply(
            Reply(
                message.key,
                message.execution_id,
                self._handler.reply(message, result),
                owed=[message.delivery] if self._settings.acks_late else [],
                once=self._handler.is_over(message.key),
            )
        )
        if result is not None:
            self._record_end(result)

    def _removed(self, message: InFlight[M]) -> None:
        self._handler.removed(message)
        self._handler.changed()

    def _record_end(self, result: R) -> None:
        """Hold back while something is away that executions need; see CircuitBreaker."""
        outage = self._handler.is_outage(result)
        if not self._breaker.record(outage=outage):
            return
        pause = self._breaker.pause_seconds
        if outage:
            asyncio.get_running_loop().call_later(pause, self._probe)
        self._handler.paused(pause, result)

    def _probe(self) -> None:
        if pause := self._breaker.pause_seconds:
            # The loop may call a little early.
            asyncio.get_running_loop().call_later(pause, self._probe)
        else:
            self.slots.start()

    # --- leaving

    async def _leave(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        self.stop()
        self._handler.changed()
        settings = self._settings
        *others, reading = tasks
        drain = asyncio.create_task(self.slots.drain(settings.grace_seconds, settings.cancel_seconds))
        if self._reader.blocked:
            self.receive(await self._reader.cut(reading))
        reading.cancel()
        self._handed_back += await drain
        for task in others:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.farewell_seconds):
                await self._say_farewell()
        _log.info("consumer_left", handed_back=len(self._handed_back))

    async def _say_farewell(self) -> None:
        backoff = Backoff()
        self.outbox.resend_all()
        while True:
            try:
                await self.outbox.flush()
                return await self._handler.leave(self.handed_back)
            except BusUnavailable:
                await backoff.wait()
