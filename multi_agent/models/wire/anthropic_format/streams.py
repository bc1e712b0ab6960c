"""Streams of Anthropic messages, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from multi_agent.models.wire.anthropic_format.answers import (
    message_head,
    read_stop,
    read_usage,
    write_stop,
    write_usage,
)
from multi_agent.models.wire.anthropic_format.blocks import read_block, write_blocks
from multi_agent.models.wire.canonical import (
    NO_ARGUMENTS,
    WireBlock,
    WireCall,
    WireCaller,
    WireSeal,
    WireText,
    WireThought,
    WireUsage,
)
from multi_agent.models.wire.events import (
    AnswerBegun,
    AnswerEnded,
    AnswerFailed,
    BlockBegun,
    BlockEnded,
    BlockGrew,
    SealsShown,
    StillAlive,
    WireEvent,
)
from multi_agent.models.wire.failures import WireFailure, failure_body, read_failure
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.seals import unwrapped, wrapped

_DELTAS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_GROWN_BY: Final = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}


class AnthropicReader:
    """Reads a stream."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._usage: WireUsage | None = None
        self._ended: AnswerEnded | None = None
        self._is_over = False
        self._indexes: dict[str, int] = {}
        """Ours by theirs: blocks that nobody knows have none."""
        self._block: WireBlock | None = None
        self._late = ""
        """Arguments that stood at the beginning of a call, which holds none of them if parts follow."""
        self._thought = ""
        self._signature = ""
        self._readers: Final[Mapping[str, Callable[[dict[str, Any]], list[WireEvent]]]] = {
            "message_start": self._begun,
            "content_block_start": self._block_begun,
            "content_block_delta": self._grown,
            "content_block_stop": self._block_ended,
            "message_delta": self._note_end,
            "message_stop": lambda _: self.end(),
            "ping": lambda _: [StillAlive()],
            "error": lambda event: self._over(AnswerFailed(read_failure(event))),
        }

    def read(self, event: dict[str, Any]) -> list[WireEvent]:
        if self._is_over:
            return []
        kind = "error" if event.get("error") else str(event.get("type"))
        read = self._readers.get(kind)
        if read is None:
            self._notes.lose("$", f"an event of type {event.get('type')!r}")
            return []
        return read(event)

    def end(self) -> list[WireEvent]:
        if self._is_over:
            return []
        broken = AnswerFailed(WireFailure("server", "the service's stream broke off"))
        return self._over(self._ended or broken)

    def _over(self, event: WireEvent) -> list[WireEvent]:
        self._is_over = True
        return [event]

    def _begun(self, event: dict[str, Any]) -> list[WireEvent]:
        message = Fields(event.get("message"), "$.message", self._notes)
        message.ignore("type", "role", "content")
        self._usage = read_usage(message.child("usage"))
        response_id = message.text("id") or self._caller.response_id
        return [AnswerBegun(response_id, message.text("model") or self._caller.model, self._usage)]

    def _block_begun(self, event: dict[str, Any]) -> list[WireEvent]:
        place = f"$.content[{event.get('index')}]"
        block = read_block(Fields(event.get("content_block"), place, self._notes))
        if block is None:
            return []
        self._block, self._late, self._thought, self._signature = block, "", "", ""
        index = self._indexes[str(event.get("index"))] = len(self._indexes)
        text = getattr(block, "text", "")
        if isinstance(block, WireCall):
            self._late = "" if block.arguments == NO_ARGUMENTS else block.arguments
            block = replace(block, arguments="")
        elif isinstance(block, WireText):
            block = replace(block, text="")
        elif isinstance(block, WireThought):
            self._thought = text
            block = block if block.seal else replace(block, text="")
            text = "" if block.seal else text
        return [BlockBegun(index, block), *([BlockGrew(index, text)] if text else [])]

    def _grown(self, event: dict[str, Any]) -> list[WireEvent]:
        index = self._indexes.get(str(event.get("index")))
        delta = Fields(event.get("delta"), f"$.content[{event.get('index')}]", self._notes)
        kind = delta.text("type")
        if index is None or kind not in _DELTAS:
            self._notes.lose(delta.path, f"a part of type {kind!r}")
            return []
        text = delta.text(_DELTAS[kind])
        if kind == "signature_delta":
            self._signature += text
            return []
        self._thought += text if kind == "thinking_delta" else ""
        self._late = "" if text else self._late
        return [BlockGrew(index, text)] if text else []

    def _block_ended(self, event: dict[str, Any]) -> list[WireEvent]:
        index = self._indexes.get(str(event.get("index")))
        if index is None:
            return []
        late, self._late = self._late, ""
        return [*([BlockGrew(index, late)] if late else []), BlockEnded(index, self._seal())]

    def _seal(self) -> WireSeal | None:
        if not isinstance(self._block, WireThought) or not self._signature:
            return None
        raw = {"type": "thinking", "thinking": self._thought, "signature": self._signature}
        return unwrapped(self._signature) or WireSeal("anthropic", raw)

    def _note_end(self, event: dict[str, Any]) -> list[WireEvent]:
        delta = Fields(event.get("delta"), "$.delta", self._notes)
        if event.get("usage") is not None:
            self._usage = read_usage(Fields(event["usage"], "$.usage", self._notes), self._usage)
        stop = read_stop(delta.text("stop_reason"))
        self._ended = AnswerEnded(stop, delta.text("stop_sequence"), self._usage)
        return []


class AnthropicWriter:
    """Writes a stream for a client."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._seals = SealsShown("anthropic")
        self._kind = ""
        """Of the parts by which the block grows; "" for one that was whole when it began."""

    def write(self, event: WireEvent) -> list[dict[str, Any]]:
        return [written for shown in self._seals.passed(event) for written in self._written(shown)]

    def _written(self, event: WireEvent) -> Iterator[dict[str, Any]]:
        match event:
            case AnswerBegun():
                yield self._begun(event)
            case BlockBegun():
                yield from self._block_begun(event)
            case BlockGrew() if self._kind:
                yield self._delta(event.index, self._kind, event.text)
            case BlockEnded():
                yield from self._block_ended(event)
            case AnswerEnded():
                yield from self._ended(event)
            case AnswerFailed():
                yield failure_body("anthropic", event.failure)
            case StillAlive():
                yield {"type": "ping"}

    def _begun(self, event: AnswerBegun) -> dict[str, Any]:
        head = message_head(event.response_id, event.model or self._caller.model)
        usage = write_usage(event.usage or WireUsage())
        ended = {"stop_reason": None, "stop_sequence": None}
        return {"type": "message_start", "message": {**head, "content": [], **ended, "usage": usage}}

    def _block_begun(self, event: BlockBegun) -> list[dict[str, Any]]:
        (block,) = write_blocks((event.block,), self._notes, to_client=True)
        self._kind = _GROWN_BY.get(block["type"], "")
        return [{"type": "content_block_start", "index": event.index, "content_block": block}]

    def _delta(self, index: int, kind: str, text: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, _DELTAS[kind]: text}}

    def _block_ended(self, event: BlockEnded) -> list[dict[str, Any]]:
        stop = {"type": "content_block_stop", "index": event.index}
        if event.seal is None:
            return [stop]
        (block,) = write_blocks((WireThought("", event.seal),), self._notes, to_client=True)
        # A redacted thought of this format's has none, and did not begin as one where another carried it.
        signature = block.get("signature") or wrapped(event.seal)
        return [self._delta(event.index, "signature_delta", signature), stop]

    def _ended(self, event: AnswerEnded) -> list[dict[str, Any]]:
        stop = write_stop(event.stop, self._notes)
        delta = {"stop_reason": stop, "stop_sequence": event.stop_sequence or None}
        usage = write_usage(event.usage or WireUsage())
        return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]
