"""Streams of OpenAI responses, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from multi_agent.models.wire.canonical import WireBlock, WireCall, WireCaller, WireText, WireThought
from multi_agent.models.wire.events import (
    AnswerBegun,
    AnswerEnded,
    AnswerFailed,
    BlockBegun,
    BlockEnded,
    BlockGrew,
    CollectedAnswer,
    SealsShown,
    StillAlive,
    WireEvent,
)
from multi_agent.models.wire.failures import WireFailure, read_failure
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.responses_format.answers import (
    item_id,
    read_response,
    response_head,
    text_part,
    write_item,
    write_response,
)
from multi_agent.models.wire.responses_format.items import read_reasoning

_PARTS: Final = frozenset({"output_text", "refusal"})
_GROWN: Final = (
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
    "response.function_call_arguments.delta",
)
_SILENT: Final = (
    "response.output_text.done",
    "response.refusal.done",
    "response.reasoning_summary_text.done",
    "response.reasoning_summary_part.done",
    "response.reasoning_text.done",
    "response.function_call_arguments.done",
)
"""Events that repeat what others said."""


class ResponsesReader:
    """Reads a stream."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._is_over = False
        self._count = 0
        """Of blocks that have begun."""
        self._places: dict[str, int] = {}
        """The last block that began in the item of this number."""
        self._grew: set[int] = set()
        self._readers: Final[Mapping[str, Callable[[dict[str, Any]], Iterator[WireEvent]]]] = {
            **dict.fromkeys(_GROWN, self._grown),
            **dict.fromkeys(_SILENT, lambda _: iter(())),
            "response.created": self._begun,
            "response.queued": lambda _: iter([StillAlive()]),
            "response.in_progress": lambda _: iter([StillAlive()]),
            "response.output_item.added": self._item_begun,
            "response.content_part.added": self._part_begun,
            "response.reasoning_summary_part.added": self._summary_begun,
            "response.content_part.done": self._part_ended,
            "response.output_item.done": self._item_ended,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._failed,
            "error": self._failed,
        }

    def read(self, event: dict[str, Any]) -> list[WireEvent]:
        read = self._readers.get(str(event.get("type")))
        if read is None:
            self._notes.lose("$", f"an event of type {event.get('type')!r}")
            return []
        return [] if self._is_over else list(read(event))

    def end(self) -> list[WireEvent]:
        if self._is_over:
            return []
        self._is_over = True
        return [AnswerFailed(WireFailure("server", "the service's stream broke off"))]

    def _begun(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        response = Fields(event.get("response"), "$.response", self._notes)
        response_id = response.text("id") or self._caller.response_id
        yield AnswerBegun(response_id, response.text("model") or self._caller.model)
        response.everything()

    def _item_begun(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        item = Fields(event.get("item"), f"$.output[{event.get('output_index')}]", self._notes)
        match item.text("type"):
            case "function_call":
                yield self._opened(event, WireCall(item.text("call_id"), item.text("name"), ""))
            case "reasoning":
                yield self._opened(event, WireThought(""))
        item.everything()

    def _part_begun(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        if _kind(event, "part") in _PARTS:
            yield self._opened(event, WireText(""))

    def _summary_begun(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        if event.get("summary_index"):
            yield BlockGrew(self._index(event), "\n\n")

    def _grown(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        text = event.get("delta")
        if isinstance(text, str) and text:
            self._grew.add(self._index(event))
            yield BlockGrew(self._index(event), text)

    def _part_ended(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        kind = _kind(event, "part")
        if kind in _PARTS:
            part = event["part"]
            yield from self._late(event, part.get("text" if kind == "output_text" else kind))
            yield BlockEnded(self._index(event))

    def _item_ended(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        item = Fields(event.get("item"), f"$.output[{event.get('output_index')}]", self._notes)
        match item.text("type"):
            case "function_call":
                yield from self._late(event, item.raw("arguments"))
                yield BlockEnded(self._index(event))
            case "reasoning":
                thought = read_reasoning(item)
                yield from self._late(event, thought.text)
                yield BlockEnded(self._index(event), thought.seal)
            case "message":
                pass
            case other:
                self._notes.refuse(
                    item.path, f"items of type {other!r} are known to OpenAI's responses alone"
                )
        item.everything()

    def _ended(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        self._is_over = True
        # The whole answer was noted when its parts came.
        whole = read_response(event.get("response"), Notes(), self._caller)
        yield AnswerEnded(whole.stop, usage=whole.usage)

    def _failed(self, event: dict[str, Any]) -> Iterator[WireEvent]:
        self._is_over = True
        response = event.get("response")
        error = response.get("error") if isinstance(response, Mapping) else event
        yield AnswerFailed(read_failure({"error": error}))

    def _opened(self, event: dict[str, Any], block: WireBlock) -> BlockBegun:
        index = self._places[str(event.get("output_index"))] = self._count
        self._count += 1
        return BlockBegun(index, block)

    def _index(self, event: dict[str, Any]) -> int:
        """Of the block that an event is about; some servers number none."""
        return self._places.get(str(event.get("output_index")), self._count - 1)

    def _late(self, event: dict[str, Any], text: object) -> Iterator[WireEvent]:
        """What a service says at the end alone."""
        if isinstance(text, str) and text and self._index(event) not in self._grew:
            yield BlockGrew(self._index(event), text)


class ResponsesWriter:
    """Writes a stream for a client."""

    def __init__(self, notes: Notes, caller: WireCaller) -> None:
        self._notes = notes
        self._caller = caller
        self._seals = SealsShown("responses")
        self._all = CollectedAnswer()
        self._head: dict[str, Any] = {}
        self._number = 0
        """Of the next event."""
        self._block: WireBlock = WireText("")
        """The one that is being written."""

    def write(self, event: WireEvent) -> list[dict[str, Any]]:
        written = []
        for shown in self._seals.passed(event):
            self._all.add(shown)
            for kind, said in self._written(shown):
                written.append({"type": kind, "sequence_number": self._number, **said})
                self._number += 1
        return written

    def _written(self, event: WireEvent) -> Iterator[tuple[str, dict[str, Any]]]:
        match event:
            case AnswerBegun():
                self._head = response_head(event.response_id, event.model, self._caller)
                yield "response.created", {"response": self._head}
                yield "response.in_progress", {"response": self._head}
            case BlockBegun():
                yield from self._block_begun(event)
            case BlockGrew():
                yield from self._grown(event)
            case BlockEnded():
                yield from self._block_ended(event.index)
            case AnswerEnded():
                whole = write_response(self._all.answer, self._notes, self._caller)
                yield f"response.{whole['status']}", {"response": whole}
            case AnswerFailed():
                failed = self._head or response_head(self._caller.response_id, "", self._caller)
                code = "rate_limit_exceeded" if event.failure.kind == "rate_limit" else "server_error"
                error = {"code": code, "message": event.failure.message}
                yield "response.failed", {"response": {**failed, "status": "failed", "error": error}}

    def _place(self, index: int) -> dict[str, Any]:
        return {"item_id": item_id(self._block, str(self._head["id"]), index), "output_index": index}

    def _block_begun(self, event: BlockBegun) -> Iterator[tuple[str, dict[str, Any]]]:
        self._block = event.block
        place = self._place(event.index)
        item = write_item(event.block, place["item_id"], self._caller, "in_progress")
        yield "response.output_item.added", {"item": item, "output_index": event.index}
        if isinstance(event.block, WireText):
            yield "response.content_part.added", {**place, "content_index": 0, "part": text_part("")}
        elif isinstance(event.block, WireThought) and not event.block.seal:
            part = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**place, "summary_index": 0, "part": part}

    def _grown(self, event: BlockGrew) -> Iterator[tuple[str, dict[str, Any]]]:
        place = {**self._place(event.index), "delta": event.text}
        match self._block:
            case WireText():
                yield "response.output_text.delta", {**place, "content_index": 0, "logprobs": []}
            case WireThought():
                yield "response.reasoning_summary_text.delta", {**place, "summary_index": 0}
            case _:
                yield "response.function_call_arguments.delta", place

    def _block_ended(self, index: int) -> Iterator[tuple[str, dict[str, Any]]]:
        place = self._place(index)
        match self._all.block(index):
            case WireText(text=text):
                at = {**place, "content_index": 0}
                yield "response.output_text.done", {**at, "text": text, "logprobs": []}
                yield "response.content_part.done", {**at, "part": text_part(text)}
            case WireThought(text=text) if text:
                at = {**place, "summary_index": 0}
                yield "response.reasoning_summary_text.done", {**at, "text": text}
                part = {"type": "summary_text", "text": text}
                yield "response.reasoning_summary_part.done", {**at, "part": part}
            case WireCall(arguments=arguments):
                yield "response.function_call_arguments.done", {**place, "arguments": arguments}
        item = write_item(self._all.block(index), place["item_id"], self._caller)
        yield "response.output_item.done", {"item": item, "output_index": index}


def _kind(event: dict[str, Any], key: str) -> str:
    part = event.get(key)
    return str(part.get("type")) if isinstance(part, Mapping) else ""
