"""What one kind of server adds to the consumer, and what it can be told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from contracts.base.errors import BusUnavailable
from contracts.base.identifiers import new_id
from contracts.messages.events import MAX_MESSAGE_BYTES, TaskEvent
from contracts.ports.bus import Delivery, Outgoing
from contracts.runtime.reading import Source
from contracts.runtime.resend import ResendPolicy
from contracts.runtime.slots import InFlight

M = TypeVar("M")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """Settings of one consumer; times in seconds."""

    name: str
    """What its events have as their source."""

    source: Source
    channels: Sequence[str]
    """Where it hears control messages."""

    slots: int
    """Executions at once."""

    acks_late: bool
    """Whether an entry is acknowledged together with its reply, which goes to a stream. Else that happens as
    soon as it is received, and the reply is broadcast."""

    resend: ResendPolicy
    heartbeat_seconds: float | None
    """How often it sends a heartbeat; None for one whose keeper does that."""

    grace_seconds: float
    """How long executions may go on after `stop`; with the next two fields, less than 10 s in sum."""

    cancel_seconds: float
    """How long to wait for a cancelled execution to end."""

    farewell_seconds: float
    """How long the last messages may take to send."""

    clock: Callable[[], float]
    """Seconds since 1970."""

    new_id: Callable[[], str] = new_id
    max_bytes: int = MAX_MESSAGE_BYTES
    """Of a control message."""

    doubt_seconds: float = 0.0
    """How long a doubtful message waits for a word before it starts without one."""

    returns_excess: bool = False
    """Whether what cannot start at once goes back to its stream, where another may read it."""

    failpoints: str | None = None
    """The part that the consumer's failpoints are named after; None for a server without any."""


class Handler(ABC, Generic[M, R]):
    """Decides what a message means.

    Only `execute`, `handle_control` and `leave` may wait. Only `decode`, what it returns, and `leave` may
    raise, and nothing but what they name.
    """

    @abstractmethod
    def decode(self, delivery: Delivery) -> tuple[str, Callable[[], M]]:
        """The key of a message, and what unpacks the message, to be called when it is new.

        Both raise DecodeError: the delivery becomes a dead letter.
        """

    @abstractmethod
    def execute(self, message: InFlight[M]) -> Awaitable[R]:
        """Do the work. Raises nothing; a cancellation passes through."""

    @abstractmethod
    def reply(self, message: InFlight[M], result: R | None) -> Outgoing:
        """The message about a result; None says that the execution was cancelled."""

    @abstractmethod
    def heartbeat(self, sequence: int) -> Sequence[Outgoing]:
        """The messages that show that this server is alive, to be broadcast."""

    @abstractmethod
    async def handle_control(self, event: TaskEvent[Any]) -> None:
        """Obey a control message; others may be on the channels as well."""

    @abstractmethod
    async def leave(self, handed_back: tuple[str, ...]) -> None:
        """Announce the end, with the keys of messages that are not finished.

        Raises BusUnavailable, and is then called again.
        """

    def is_over(self, key: str) -> bool:
        """Whether nobody waits for a reply to this message."""
        return False

    def is_doubtful(self, message: InFlight[M]) -> bool:
        """Whether a message may be out of date, and should start only when its sender confirms it."""
        return False

    def is_outage(self, result: R) -> bool:
        """Whether the execution only met the absence of something it needed."""
        return False

    def received(self, message: InFlight[M]) -> None:
        """A message is in flight now."""

    def started(self, message: InFlight[M]) -> None:
        """A message has its slot. `execute` follows, for an exclusive one when a heartbeat has said so."""

    def removed(self, message: InFlight[M]) -> None:
        """A message is in flight no more, whatever its end."""

    def dead_lettered(self) -> None:
        """A message could not be read."""

    def changed(self) -> None:
        """What is in flight or handed back has changed, or the server takes no more messages."""

    def unreachable(self, error: BusUnavailable) -> None:
        """Nothing could be read."""

    def paused(self, seconds: float, result: R) -> None:
        """Nothing starts for so many seconds, because this result met an outage; 0.0 when work goes on."""
