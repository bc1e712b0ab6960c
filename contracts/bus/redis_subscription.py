"""Subscriptions to channels of a Redis server, over connections that the bus provides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from contracts.base.errors import BusUnavailable
from contracts.bus.mailbox import Mailbox
from contracts.bus.redis_protocol import Command, glob

_RECONNECT_SECONDS: Final = 0.25


class SubscriberConnection(Protocol):
    """One connection. Every method but `drop` raises BusUnavailable."""

    async def send(self, commands: Sequence[Command]) -> None:
        """Connect unless connected, and send."""

    async def receive(self, seconds: float) -> Any:
        """The next reply, None when there is none in time."""

    async def drop(self) -> None:
        """Close the connection; `send` opens it again."""


class RedisSubscription:
    """Subscription to channels that connects at once, in a task of its own.

    It reconnects by itself; what is sent meanwhile is lost. A connection that is silent for `timeout` seconds
    is pinged, and replaced when it stays silent as long again.
    """

    def __init__(
        self,
        new_connection: Callable[[], SubscriberConnection],
        channels: Sequence[str],
        timeout: float,
        closed: Callable[[RedisSubscription], object],
    ) -> None:
        """`closed` is called with the subscription when it is closed."""
        self._new_connection = new_connection
        self._on_closed = closed
        self._patterns = [glob(name) for name in channels if "*" in name]
        self._names = [name for name in channels if "*" not in name]
        self._timeout = timeout
        self._mailbox = Mailbox()
        self._ready = asyncio.Event()
        self._unconfirmed = 0
        self._trouble = BusUnavailable(f"Redis did not confirm the subscription within {timeout:g} s")
        self._listener = asyncio.create_task(self._listen(), name="redis-subscription")

    async def ready(self) -> None:
        """Return when the server has confirmed the channels. Raises BusUnavailable after `timeout` s."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._ready.wait()
        except TimeoutError:
            raise self._trouble from None

    def __aiter__(self) -> RedisSubscription:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        message = await self._mailbox.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def close(self) -> None:
        """End the iteration and the connection. Again is a no-op."""
        self._mailbox.close()
        self._listener.cancel()
        self._on_closed(self)
        await asyncio.wait([self._listener])

    async def _listen(self) -> None:
        while True:
            connection = self._new_connection()
            try:
                await self._receive(connection)
            except BusUnavailable as error:
                self._trouble = error
            finally:
                self._ready.clear()
                await connection.drop()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _receive(self, connection: SubscriberConnection) -> None:
        self._unconfirmed = len(self._names) + len(self._patterns)
        commands: list[Command] = [("SUBSCRIBE", *self._names)] if self._names else []
        if self._patterns:
            commands.append(("PSUBSCRIBE", *self._patterns))
        await connection.send(commands)
        asked = False
        while True:
            message = await connection.receive(self._timeout)
            if message is not None:
                asked = False
                self._handle(message)
            elif asked:
                raise BusUnavailable("Redis did not answer a ping")
            else:
                asked = True
                await connection.send([("PING",)])

    def _handle(self, message: list[Any]) -> None:
        kind = message[0]
        if kind in {b"message", b"pmessage"}:
            with suppress(UnicodeDecodeError):  # not a known channel
                self._mailbox.put(message[-2].decode(), message[-1])
        elif kind in {b"subscribe", b"psubscribe"}:
            self._unconfirmed -= 1
            if self._unconfirmed == 0:
                self._ready.set()
