"""Streams of streamGenerateContent, both ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from multi_agent.models.wire.canonical import (
    StopReason,
    WireBlock,
    WireCall,
    WireCaller,
    WireText,
    WireThought,
)
from multi_agent.models.wire.chunks import ChunkReader
from multi_agent.models.wire.events import (
    AnswerBegun,
    AnswerEnded,
    AnswerFailed,
    BlockBegun,
    BlockEnded,
    BlockGrew,
    CollectedAnswer,
    SealsShown,
    WireEvent,
)
from multi_agent.models.wire.failures import failure_body
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.gemini_format.answers import (
    candidate,
    read_candidate,
    read_stop,
    read_usage,
    response_head,
    write_stop,
    write_usage,
)
from multi_agent.models.wire.gemini_format.parts import write_parts


class GeminiReader(ChunkReader):
    """Reads a stream. Parts of one kind in a row are one block, until a signature ends it."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        super().__init__(notes, caller)
        self._index = -1
        """Of the last block that began."""
        self._open: type | None = None
        """The kind of the block that is open."""
        self._has_called = False

    def _left(self) -> Iterable[WireEvent]:
        return self._closed()

    def _stopped_by(self, said: StopReason) -> StopReason:
        return "calls" if self._has_called and said == "end" else said

    def _read(self, chunk: Fields) -> Iterator[WireEvent]:
        chunk.ignore("createTime", "modelStatus")
        response_id, model = chunk.text("responseId"), chunk.text("modelVersion")
        if not self._has_begun:
            self._has_begun = True
            yield AnswerBegun(response_id or self._caller.response_id, model or self._caller.model)
        first = next(iter(chunk.children("candidates")), None)
        blocks = read_candidate(first) if first else []
        for block in blocks:
            yield from self._grown(block)
        self._stop = read_stop(chunk, first, blocks) or self._stop
        self._usage = read_usage(chunk.child("usageMetadata")) or self._usage

    def _grown(self, block: WireBlock) -> Iterator[WireEvent]:
        if isinstance(block, WireCall):
            self._has_called = True
            yield from self._closed()
            named = block if block.call_id else replace(block, call_id=self._caller.call_id(self._index + 1))
            yield from self._opened(replace(named, arguments=""))
            yield BlockGrew(self._index, block.arguments)
            yield from self._closed()
            return
        assert isinstance(block, WireText | WireThought), "read_candidate gives nothing else"
        seal = block.seal
        if self._open is not type(block):
            yield from self._closed()
            is_sealed = isinstance(block, WireThought) and not block.text
            yield from self._opened(block if is_sealed else replace(block, text="", seal=None))
            seal = None if is_sealed else seal
        if block.text:
            yield BlockGrew(self._index, block.text)
        if block.seal:
            yield BlockEnded(self._index, seal)
            self._open = None

    def _opened(self, block: WireBlock) -> Iterator[WireEvent]:
        self._index += 1
        self._open = type(block)
        yield BlockBegun(self._index, block)

    def _closed(self) -> Iterator[WireEvent]:
        if self._open is not None:
            yield BlockEnded(self._index)
        self._open = None


class GeminiWriter:
    """Writes a stream for a client. Calls are passed on whole, since the format has no parts of them."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._seals = SealsShown("gemini")
        self._all = CollectedAnswer()
        self._head: dict[str, Any] = {}
        self._kind: type = WireText
        """Of the block that is being written."""

    def write(self, event: WireEvent) -> list[dict[str, Any]]:
        return [written for shown in self._seals.passed(event) for written in self._written(shown)]

    def _written(self, event: WireEvent) -> Iterator[dict[str, Any]]:
        self._all.add(event)
        match event:
            case AnswerBegun():
                self._head = response_head(event.response_id, event.model, self._caller)
            case BlockBegun(block=block):
                self._kind = type(block)
                if isinstance(block, WireThought) and block.seal:
                    yield self._chunk(block)
            case BlockGrew():
                yield from self._grown(event)
            case BlockEnded():
                yield from self._ended(event)
            case AnswerEnded():
                stop = write_stop(event.stop, event.stop_sequence, self._notes)
                usage = {"usageMetadata": write_usage(event.usage, self._notes)} if event.usage else {}
                yield {**self._head, **candidate([], stop), **usage}
            case AnswerFailed():
                yield failure_body("gemini", event.failure)

    def _grown(self, event: BlockGrew) -> list[dict[str, Any]]:
        if issubclass(self._kind, WireText | WireThought):
            return [self._chunk(self._kind(event.text))]
        return []

    def _ended(self, event: BlockEnded) -> list[dict[str, Any]]:
        match self._all.block(event.index):
            case WireCall() as call:
                return [self._chunk(call)]
            case WireText() | WireThought() as block if event.seal:
                return [self._chunk(replace(block, text=""))]
            case _:
                return []

    def _chunk(self, block: WireBlock) -> dict[str, Any]:
        return {**self._head, **candidate(write_parts((block,), self._notes, to_client=True))}
