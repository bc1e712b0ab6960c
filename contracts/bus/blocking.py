"""The message bus for callers without asyncio: hear events, and tell those who listen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import structlog

from contracts.base.errors import DecodeError, InvalidInput
from contracts.base.processes.loop_thread import LoopThread
from contracts.bus.connect import open_message_bus
from contracts.messages.events import TaskEvent, decode, encode
from contracts.ports.bus import MessageBus, Outgoing, Subscription

Handler = Callable[[TaskEvent[Any]], object]

logger = structlog.get_logger(__name__)


class BlockingSubscription:
    """One handler on one channel, called in a thread of its own, which may block and may use the bus.

    Ends with `close`, with the `with` block, with its bus or with the interpreter.
    """

    def __init__(
        self,
        loop: LoopThread,
        subscription: Subscription,
        channel: str,
        handler: Handler,
        siblings: set[BlockingSubscription],
    ) -> None:
        """siblings: the subscriptions of the bus; this one is among them until it ends."""
        self.channel = channel
        self.handler = handler
        self._loop = loop
        self._subscription = subscription
        self._siblings = siblings
        siblings.add(self)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="event-handler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear nothing more, and wait for a handler at work. Again is a no-op."""
        if not self._closed:
            self._closed = True
            self._loop.run(self._subscription.close())
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> BlockingSubscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        try:
            # Cancelled when the interpreter ends and nobody closed the bus.
            with suppress(CancelledError):
                self._follow()
        finally:
            self._siblings.discard(self)

    def _follow(self) -> None:
        messages = aiter(self._subscription)

        async def following() -> tuple[str, bytes] | None:
            return await anext(messages, None)

        while not self._closed and (message := self._loop.run(following())) is not None:
            self._handle(*message)

    def _handle(self, channel: str, payload: bytes) -> None:
        try:
            event = decode(payload)
        except DecodeError as error:
            # Some channels carry hints that are no events.
            logger.debug("message_is_no_event", channel=channel, error=str(error))
            return
        try:
            self.handler(event)
        except CancelledError:
            raise
        except Exception:
            logger.exception("event_handler_failed", channel=channel)


class BlockingMessageBus:
    """Events on the channels of a bus. May be used from any thread.

    `publish` reaches whoever listens at that moment and stores nothing: work is not dispatched with it.
    Methods raise BusUnavailable when the server cannot be reached, InvalidInput after `close`.
    """

    def __init__(self, url: str) -> None:
        """Connects when it is first used. Raises NotConfigured for a URL that names no bus."""
        self._bus: MessageBus | None = open_message_bus(url)
        self._subscriptions: set[BlockingSubscription] = set()
        self._loop = LoopThread()

    def publish(self, channel: str, event: TaskEvent[Any]) -> None:
        """Tell the event to all who listen to the channel now. Raises InvalidInput for what is no event."""
        if not isinstance(event, TaskEvent):
            raise InvalidInput(f"event is a {type(event).__name__}; make one with TaskEvent.create(...)")
        message = Outgoing(_checked(channel), encode(event))
        self._loop.run(self._opened().broadcast([message]))

    def subscribe(self, channel: str, handler: Handler) -> BlockingSubscription:
        """Call the handler with every event from now on, one after the other.

        The channels below count too: `agent.requests` hears `agent.requests.coder`. `*` stands for anything.
        An error of the handler is logged, and the next event follows.
        """
        if not callable(handler):
            raise InvalidInput(f"handler is a {type(handler).__name__}; give a function of one TaskEvent")
        channels = [_checked(channel)] if "*" in channel else [_checked(channel), f"{channel}.*"]
        subscription = self._loop.run(_listening(self._opened(), channels))
        return BlockingSubscription(self._loop, subscription, channel, handler, self._subscriptions)

    def unsubscribe(self, channel: str, handler: Handler | None = None) -> None:
        """End the channel's subscriptions, or those of one handler."""
        for one in tuple(self._subscriptions):
            if one.channel == channel and (handler is None or handler == one.handler):
                one.close()

    def close(self) -> None:
        """End the subscriptions and the connections. Again is a no-op."""
        bus, self._bus = self._bus, None
        for one in tuple(self._subscriptions):
            one.close()
        if bus is not None:
            self._loop.run(bus.close())
            self._loop.close()

    def __enter__(self) -> BlockingMessageBus:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> MessageBus:
        if self._bus is None:
            raise InvalidInput("this bus is closed; get_message_bus() gives another")
        return self._bus


async def _listening(bus: MessageBus, channels: list[str]) -> Subscription:
    # Fails at once when nobody is there; a subscription would go on trying.
    await bus.incarnation()
    subscription = bus.subscribe(channels)
    try:
        await subscription.ready()
    except BaseException:
        await subscription.close()
        raise
    return subscription


def _checked(channel: str) -> str:
    if not isinstance(channel, str) or not channel:
        raise InvalidInput(f"channel {channel!r} is none; use one of contracts.Channels")
    return channel
