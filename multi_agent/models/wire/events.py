"""An answer as it comes: the events between the streams of all formats, and the fold over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from multi_agent.models.wire.canonical import (
    NO_ARGUMENTS,
    FormatName,
    StopReason,
    WireBlock,
    WireCall,
    WireCaller,
    WireResponse,
    WireSeal,
    WireText,
    WireThought,
    WireUsage,
    with_seal,
)
from multi_agent.models.wire.failures import WireFailure
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.seals import beside


@dataclass(frozen=True, slots=True)
class AnswerBegun:
    """The first event."""

    response_id: str
    model: str
    usage: WireUsage | None = None
    """What is known of it by now."""


@dataclass(frozen=True, slots=True)
class BlockBegun:
    """A block of the answer begins, empty; the one before has ended."""

    index: int
    block: WireBlock


@dataclass(frozen=True, slots=True)
class BlockGrew:
    """More of its text, thought or arguments."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class BlockEnded:
    """It is whole."""

    index: int
    seal: WireSeal | None = None
    """Of a text or thought. Calls, and thoughts without text, have theirs from the beginning."""


@dataclass(frozen=True, slots=True)
class AnswerEnded:
    """The last event of an answer."""

    stop: StopReason
    stop_sequence: str = ""
    usage: WireUsage | None = None


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    """The last event where there is no answer, or half of one."""

    failure: WireFailure


@dataclass(frozen=True, slots=True)
class StillAlive:
    """Nothing new."""


WireEvent: TypeAlias = (
    AnswerBegun | BlockBegun | BlockGrew | BlockEnded | AnswerEnded | AnswerFailed | StillAlive
)


class StreamReader(Protocol):
    """Turns the events of a format into ours. Its state is what has not been said yet."""

    def read(self, event: dict[str, object]) -> list[WireEvent]:
        """What one event says."""

    def end(self) -> list[WireEvent]:
        """What is left to say at the end of the stream: that it ended, or broke off."""


class StreamWriter(Protocol):
    """Turns our events into those of a format."""

    def write(self, event: WireEvent) -> list[dict[str, object]]:
        """The events that say it, none where the format has no word for it."""


class InOrder:
    """Puts what a service streams in order: a beginning first, one block at a time, each with its end.

    Blocks that are streamed at once are passed on one after the other. Calls have an id and arguments.
    """

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._has_begun = False
        self._count = 0
        """Of blocks that have begun."""
        self._open: int | None = None
        """What the service's reader calls the block that has not ended."""
        self._is_bare = False
        """Whether that is a call without arguments so far."""
        self._waiting: dict[int, list[BlockBegun | BlockGrew | BlockEnded]] = {}
        """What came of blocks that began before the open one ended."""

    def passed(self, event: WireEvent) -> Iterator[WireEvent]:
        """The events instead of this one."""
        if not self._has_begun and not isinstance(event, AnswerFailed | StillAlive):
            self._has_begun = True
            if not isinstance(event, AnswerBegun):
                yield AnswerBegun(self._caller.response_id, self._caller.model)
        match event:
            case BlockBegun(block=block) if not isinstance(block, WireText | WireThought | WireCall):
                self._notes.refuse(f"$.blocks[{event.index}]", "answers hold texts, thoughts and calls alone")
            case BlockBegun() if self._open is not None:
                self._waiting[event.index] = [event]
            case BlockGrew() | BlockEnded() if event.index in self._waiting:
                self._waiting[event.index].append(event)
            case BlockBegun() | BlockGrew() | BlockEnded():
                yield from self._of_block(event)
                yield from self._followed()
            case AnswerEnded():
                while self._open is not None:
                    yield from self._of_block(BlockEnded(self._open))
                    yield from self._followed()
                yield event
            case _:
                yield event

    def _of_block(self, event: BlockBegun | BlockGrew | BlockEnded) -> Iterator[WireEvent]:
        match event:
            case BlockBegun(block=block):
                self._open, self._count = event.index, self._count + 1
                self._is_bare = isinstance(block, WireCall)
                if isinstance(block, WireCall) and not block.call_id:
                    block = replace(block, call_id=self._caller.call_id(self._count - 1))
                yield BlockBegun(self._count - 1, block)
            case _ if event.index != self._open:
                self._notes.wrong(f"$.blocks[{event.index}]", "more of a block that is not open")
            case BlockGrew():
                self._is_bare = False
                yield replace(event, index=self._count - 1)
            case BlockEnded():
                if self._is_bare:
                    yield BlockGrew(self._count - 1, NO_ARGUMENTS)
                self._open, self._is_bare = None, False
                yield replace(event, index=self._count - 1)

    def _followed(self) -> Iterator[WireEvent]:
        """What waits, as far as the block before it has ended."""
        while self._open is None and self._waiting:
            for event in self._waiting.pop(next(iter(self._waiting))):
                yield from self._of_block(event)


class CollectedAnswer:
    """The answer that a stream of events amounts to."""

    def __init__(self) -> None:
        self.failure: WireFailure | None = None
        self.is_over = False
        self._answer = WireResponse()
        self._blocks: list[WireBlock] = []
        self._texts: list[list[str]] = []

    def add(self, event: WireEvent) -> None:
        self.is_over |= isinstance(event, AnswerEnded | AnswerFailed)
        match event:
            case AnswerBegun():
                begun = (event.response_id, event.model)
                self._answer = WireResponse(*begun, usage=event.usage)
            case BlockBegun():
                self._blocks.append(event.block)
                self._texts.append([])
            case BlockGrew():
                self._texts[event.index].append(event.text)
            case BlockEnded() if event.seal:
                self._blocks[event.index] = with_seal(self._blocks[event.index], event.seal)
            case AnswerEnded():
                sequence = event.stop_sequence
                self._answer = replace(
                    self._answer, usage=event.usage, stop=event.stop, stop_sequence=sequence
                )
            case AnswerFailed():
                self.failure = event.failure

    def block(self, index: int) -> WireBlock:
        """A block as far as it has come."""
        text = "".join(self._texts[index])
        match self._blocks[index]:
            case WireCall() as call:
                return replace(call, arguments=call.arguments + text)
            case WireText() | WireThought() as said:
                return replace(said, text=said.text + text)
            case other:
                return other

    @property
    def answer(self) -> WireResponse:
        """All that has come."""
        return replace(self._answer, blocks=tuple(self.block(index) for index in range(len(self._blocks))))


def events_of(response: WireResponse) -> Iterator[WireEvent]:
    """A whole answer as events, for a client that wants a stream of a service that has none."""
    yield AnswerBegun(response.response_id, response.model)
    for index, block in enumerate(response.blocks):
        match block:
            case WireCall():
                yield BlockBegun(index, replace(block, arguments=""))
                yield from _grown(index, block.arguments)
                yield BlockEnded(index)
            case WireText() | WireThought() if block.text or isinstance(block, WireText):
                yield BlockBegun(index, replace(block, text="", seal=None))
                yield from _grown(index, block.text)
                yield BlockEnded(index, block.seal)
            case _:
                yield BlockBegun(index, block)
                yield BlockEnded(index)
    yield AnswerEnded(response.stop, response.stop_sequence, response.usage)


class SealsShown:
    """`seals.shown_to` over events: seals of other formats at calls and texts become thoughts beside them."""

    def __init__(self, own: FormatName) -> None:
        self._own = own
        self._added = 0
        """Blocks more than those that came."""
        self._block: WireBlock | None = None
        """The one that has begun."""

    def passed(self, event: WireEvent) -> Iterator[WireEvent]:
        """The events instead of this one."""
        match event:
            case BlockBegun(block=block):
                self._block = block
                if isinstance(block, WireCall) and self._is_foreign(block.seal):
                    assert block.seal is not None, "None is not foreign"
                    yield from self._thought(event.index, block, block.seal)
                    block = replace(block, seal=None)
                yield BlockBegun(event.index + self._added, block)
            case BlockGrew():
                yield replace(event, index=event.index + self._added)
            case BlockEnded(seal=seal) if isinstance(self._block, WireText) and self._is_foreign(seal):
                assert seal is not None, "None is not foreign"
                yield BlockEnded(event.index + self._added)
                yield from self._thought(event.index + 1, self._block, seal)
            case BlockEnded():
                yield replace(event, index=event.index + self._added)
            case _:
                yield event

    def _is_foreign(self, seal: WireSeal | None) -> bool:
        return seal is not None and seal.owner != self._own

    def _thought(self, index: int, block: WireBlock, seal: WireSeal) -> Iterator[WireEvent]:
        index += self._added
        self._added += 1
        yield BlockBegun(index, beside(block, seal))
        yield BlockEnded(index)


def _grown(index: int, text: str) -> Iterator[WireEvent]:
    if text:
        yield BlockGrew(index, text)
