"""The subscription loop: subscribe, decode, hand over, close, and begin again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import structlog

from contracts.base.errors import BusUnavailable, DecodeError, NotPermitted
from contracts.base.processes.command_lines import Advice
from contracts.messages.events import MAX_MESSAGE_BYTES, TaskEvent, decode
from contracts.ports.bus import SubscribePort
from contracts.runtime.backoff import Backoff

RENEW_USERS: Final = Advice("an earlier release made the users of this Redis; renew them", ("redis-acl",))
_log = structlog.get_logger(__name__)

HandleEvent: TypeAlias = Callable[[TaskEvent[Any]], Awaitable[None]]


class SubscriptionLoop:
    """Hands over every event that is sent on some channels.

    Channels are lossy: whoever sends something that matters sends it again. What cannot be decoded is logged
    and skipped.
    """

    def __init__(
        self,
        bus: SubscribePort,
        channels: Sequence[str],
        handle: HandleEvent,
        max_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._bus = bus
        self._channels = channels
        self._handle = handle
        self._max_bytes = max_bytes
        self.refused = False
        """Whether the server forbade it when it was last asked."""
        self.listening = asyncio.Event()
        """Set from the bus's confirmation until the subscription ends.

        It stays set while a subscription reconnects by itself; what is sent meanwhile is lost.
        """

    async def run(self, changed: Callable[[], None] | None = None) -> None:
        """Listen until cancelled. An absent bus is waited for, and one that forbids it; that is logged.

        changed: called whenever it begins to listen, and when that is forbidden.
        """
        backoff = Backoff()
        while True:
            subscription = self._bus.subscribe(self._channels)
            try:
                await subscription.ready()
                self.listening.set()
                self.refused = False
                backoff.reset()
                if changed:
                    changed()
                async for channel, payload in subscription:
                    await self._hand_over(channel, payload)
            except NotPermitted as error:
                self._tell_refused(error, changed)
            except BusUnavailable as error:
                _log.debug("subscription_lost", channels=self._channels, error=str(error))
            finally:
                self.listening.clear()
                await subscription.close()
            await backoff.wait()

    def _tell_refused(self, error: NotPermitted, changed: Callable[[], None] | None) -> None:
        """Say once what to do about a server whose rules are older than this program."""
        if not self.refused:
            self.refused = True
            reason = f"{error}; {RENEW_USERS}"
            _log.warning("channels_forbidden", channels=self._channels, reason=reason)
            if changed:
                changed()

    async def _hand_over(self, channel: str, payload: bytes) -> None:
        try:
            event = decode(payload, max_bytes=self._max_bytes)
        except DecodeError as error:
            _log.warning("event_unreadable", channel=channel, reason=error.reason)
            return
        await self._handle(event)
