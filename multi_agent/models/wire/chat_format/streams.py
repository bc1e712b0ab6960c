"""Streams of chat completions, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from multi_agent.models.wire.canonical import (
    StopReason,
    WireCall,
    WireCaller,
    WireSeal,
    WireText,
    WireThought,
)
from multi_agent.models.wire.chat_format.answers import (
    completion_head,
    read_stop,
    read_usage,
    stopped_by_calls,
    write_stop,
    write_usage,
)
from multi_agent.models.wire.chat_format.messages import (
    THOUGHTS,
    read_arguments,
    read_thoughts,
    shown_thoughts,
    write_call,
)
from multi_agent.models.wire.chunks import ChunkReader
from multi_agent.models.wire.events import (
    AnswerBegun,
    AnswerEnded,
    AnswerFailed,
    BlockBegun,
    BlockEnded,
    BlockGrew,
    SealsShown,
    WireEvent,
)
from multi_agent.models.wire.failures import failure_body
from multi_agent.models.wire.fields import Fields, Notes

DONE: Final = "[DONE]"
"""What the last event of a stream says instead of JSON."""


@dataclass(slots=True)
class _Call:
    """A call as far as it has come."""

    call: WireCall
    parts: list[str] = field(default_factory=list)
    """Of its arguments."""
    passed: int = 0
    """How many of them were passed on."""
    is_over: bool = False

    @property
    def is_whole(self) -> bool:
        try:
            json.loads("".join(self.parts))
        except (ValueError, RecursionError):
            return False
        return True


class _OpenBlocks:
    """Begins and ends blocks, one at a time."""

    def __init__(self) -> None:
        self.index = -1
        """Of the last block that began."""
        self.owner: object = None
        """Whose block is open."""
        self._thoughts: dict[str, Any] = {}

    def thought(self, name: str, part: Any) -> Iterator[WireEvent]:
        if self.owner is not WireThought:
            yield from self.opened(WireThought, WireThought(""))
        before = self._thoughts.get(name)
        self._thoughts[name] = before + part if before and type(before) is type(part) else part
        if isinstance(part, str) and name == next(iter(self._thoughts)):
            yield BlockGrew(self.index, part)

    def text(self, text: str) -> Iterator[WireEvent]:
        if self.owner is not WireText:
            yield from self.opened(WireText, WireText(""))
        yield BlockGrew(self.index, text)

    def opened(self, owner: object, block: WireText | WireThought | WireCall) -> Iterator[WireEvent]:
        yield from self.closed()
        self.index += 1
        self.owner = owner
        yield BlockBegun(self.index, block)

    def closed(self) -> Iterator[WireEvent]:
        if self.owner is None:
            return
        if isinstance(self.owner, _Call):
            self.owner.is_over = True
        first, *more = read_thoughts(self._thoughts, "$") if self._thoughts else [WireThought("")]
        yield BlockEnded(self.index, first.seal)
        for thought in more:
            self.index += 1
            yield BlockBegun(self.index, thought)
            yield BlockEnded(self.index)
        self.owner = None
        self._thoughts = {}


class ChatReader(ChunkReader):
    """Reads a stream. Of calls that come interleaved each is passed on when the one before is whole."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        super().__init__(notes, caller)
        self._blocks = _OpenBlocks()
        self._calls: list[_Call] = []
        self._latest: dict[int | None, _Call] = {}
        """By the number that the service gives it."""
        self._is_refusal = False

    def _left(self) -> Iterable[WireEvent]:
        return [*self._calls_passed(are_all=True), *self._blocks.closed()]

    def _stopped_by(self, said: StopReason) -> StopReason:
        return "refusal" if self._is_refusal else stopped_by_calls(said, self._calls)

    def _read(self, chunk: Fields) -> Iterator[WireEvent]:
        chunk.ignore("object", "created", "system_fingerprint", "service_tier", "obfuscation")
        response_id, model = chunk.text("id"), chunk.text("model")
        if not self._has_begun:
            self._has_begun = True
            yield AnswerBegun(response_id or self._caller.response_id, model or self._caller.model)
        if usage := chunk.child("usage"):
            self._usage = read_usage(usage)
        for choice in chunk.children("choices")[:1]:
            choice.ignore("index")
            if delta := choice.child("delta"):
                yield from self._grown(delta)
            if reason := choice.text("finish_reason"):
                self._stop = read_stop(reason)

    def _grown(self, delta: Fields) -> Iterator[WireEvent]:
        delta.ignore("role")
        for name in THOUGHTS:
            if part := delta.raw(name):
                yield from self._blocks.thought(name, part)
        for name in ("content", "refusal"):
            if text := delta.text(name):
                self._is_refusal |= name == "refusal"
                yield from self._blocks.text(text)
        for call in delta.children("tool_calls"):
            self._add(call)
        yield from self._calls_passed()

    def _add(self, delta: Fields) -> None:
        delta.ignore("type")
        function = delta.child("function")
        call_id, name = delta.text("id"), function.text("name") if function else ""
        found = self._called(delta.take("index", int), call_id, name)
        extra = delta.raw("extra_content")
        found.call = replace(
            found.call,
            call_id=found.call.call_id or call_id,
            name=found.call.name or name,
            seal=WireSeal("chat", {"extra_content": extra}) if extra else found.call.seal,
        )
        if function and (text := read_arguments(function)):
            found.parts.append(text)
            if found.is_over:
                self._notes.wrong(delta.path, "more of a call that was whole")

    def _called(self, number: int | None, call_id: str, name: str) -> _Call:
        """The call that a part is of. Some services number none, or all alike: a name begins another."""
        found = self._latest.get(number)
        if found is None or (name and (number is None or call_id not in ("", found.call.call_id))):
            found = self._latest[number] = _Call(WireCall("", "", ""))
            self._calls.append(found)
        return found

    def _calls_passed(self, *, are_all: bool = False) -> Iterator[WireEvent]:
        """What there is of the first call that is not over; of the next nothing, before that one is whole."""
        waiting = [found for found in self._calls if not found.is_over]
        for found in waiting:
            if self._blocks.owner is not found:
                call_id = found.call.call_id or self._caller.call_id(self._blocks.index + 1)
                yield from self._blocks.opened(found, replace(found.call, call_id=call_id))
            for part in found.parts[found.passed :]:
                yield BlockGrew(self._blocks.index, part)
            found.passed = len(found.parts)
            if found is waiting[-1] or not (are_all or found.is_whole):
                return
            found.is_over = True


class ChatWriter:
    """Writes a stream for a client. After the last event the client is told DONE."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._seals = SealsShown("chat")
        self._head: dict[str, Any] = {}
        self._kind: type = WireText
        """Of the block that is being written."""
        self._calls = 0
        self._has_thought = False

    def write(self, event: WireEvent) -> list[dict[str, Any]]:
        return [written for shown in self._seals.passed(event) for written in self._written(shown)]

    def _written(self, event: WireEvent) -> Iterator[dict[str, Any]]:
        match event:
            case AnswerBegun():
                head = completion_head(event.response_id, event.model, self._caller)
                self._head = {**head, "object": "chat.completion.chunk"}
                yield self._chunk({"role": "assistant", "content": ""})
            case BlockBegun():
                yield from self._begun(event.block)
            case BlockGrew():
                yield self._chunk(self._delta(event.text))
            case BlockEnded(seal=seal) if seal and self._kind is WireThought:
                yield self._chunk(shown_thoughts((WireThought("", seal),)))
            case AnswerEnded():
                yield from self._ended(event)
            case AnswerFailed():
                yield failure_body("chat", event.failure)

    def _begun(self, block: object) -> list[dict[str, Any]]:
        self._kind = type(block)
        if isinstance(block, WireThought) and block.seal:
            return [self._chunk(shown_thoughts((block,)))]
        if isinstance(block, WireThought):
            separator = [self._chunk(self._delta("\n\n"))] if self._has_thought else []
            self._has_thought = True
            return separator
        if not isinstance(block, WireCall):
            return []
        self._calls += 1
        return [self._chunk({"tool_calls": [{"index": self._calls - 1, **write_call(block, self._notes)}]})]

    def _delta(self, text: str) -> dict[str, Any]:
        if self._kind is WireCall:
            return {"tool_calls": [{"index": self._calls - 1, "function": {"arguments": text}}]}
        return {"reasoning_content" if self._kind is WireThought else "content": text}

    def _ended(self, event: AnswerEnded) -> list[dict[str, Any]]:
        finish = write_stop(event.stop, event.stop_sequence, self._notes)
        chunks = [self._chunk({}, finish)]
        if event.usage and self._caller.stream_usage:
            chunks.append({**self._head, "choices": [], "usage": write_usage(event.usage)})
        return chunks

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
