"""A session as a recording that `replay:` reads, in the words of the model port."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelMessage, ModelRequest, ModelResponse, ModelTool
from multi_agent.gateway.records.store import LoggedRequest
from multi_agent.models.recordings.recording import Exchange, Recording, exchange_of
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import (
    FormatName,
    WireBlock,
    WireCall,
    WireCaller,
    WireMedia,
    WireRequest,
    WireResponse,
    WireResult,
    WireText,
    WireThought,
    WireTurn,
)
from multi_agent.models.wire.convert import ConvertedStream, convert_response
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.formats import FORMATS

PURPOSE: Final = "gateway"
"""What exchanges are for: callers do not say it."""


def recording_of(session: str, requests: Iterable[LoggedRequest]) -> Recording:
    """A recording of those requests that were answered, and whose bodies were kept; a later answer counts."""
    found = (_exchange(one) for one in requests if one.record.outcome == "ok" and one.said and one.answered)
    by_hash = {one.request_hash: one for one in found if one is not None}
    return Recording(
        title=session,
        recorded_by="multi-agent gateway",
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        model="",
        exchanges=tuple(by_hash.values()),
    )


def port_request(name: FormatName, body: Any) -> ModelRequest:
    """What a body says, as our own agents would ask it; what the port has no word for is left out."""
    request = FORMATS[name].read_request(body, Notes())
    system = [turn for turn in request.turns if turn.role == "system"]
    default = ModelRequest(PURPOSE, "", ())
    limit = request.parameters.get("max_tokens")
    return ModelRequest(
        purpose=PURPOSE,
        system="\n\n".join(text for turn in system for text in _texts(turn.blocks)),
        messages=tuple(_message(turn) for turn in request.turns if turn.role != "system"),
        response_schema=_schema(request),
        temperature=float(request.parameters.get("temperature", default.temperature)),
        max_output_tokens=limit if isinstance(limit, int) else default.max_output_tokens,
        tools=tuple(ModelTool(one.name, one.description or "", one.schema) for one in request.tools),
    )


def _exchange(logged: LoggedRequest) -> Exchange | None:
    """None for what cannot be read."""
    name, record = logged.record.format, logged.record
    if record.wish != "answer":
        return None
    try:
        request = port_request(name, json.loads(logged.said or b""))
        answer = _answer(name, logged)
    except (ValueError, RecursionError):
        return None
    calls = any(isinstance(block, WireCall) for block in answer.blocks)
    response = ModelResponse(
        text="" if calls else "".join(_texts(answer.blocks)),
        model=record.model,
        input_tokens=record.input or 0,
        output_tokens=record.output or 0,
        cached_input_tokens=record.cached or 0,
        blocks=tuple(_blocks(answer.blocks)) if calls else (),
        end="length" if calls and answer.stop == "length" else "",
    )
    return exchange_of(request, response)


def _answer(name: FormatName, logged: LoggedRequest) -> WireResponse:
    """What was answered, whole or streamed. Raises ValueError."""
    caller = WireCaller(logged.record.request_id, logged.record.asked)
    body = logged.answered or b""
    if not logged.record.stream:
        return convert_response(json.loads(body), name, name, caller).response
    stream, decoder = ConvertedStream(name, name, caller), sse.EventDecoder()
    for event in (*decoder.feed(body), *decoder.end()):
        stream.feed(event)
    stream.end()
    return stream.response


def _message(turn: WireTurn) -> ModelMessage:
    role = "model" if turn.role == "assistant" else "user"
    blocks = tuple(_blocks(turn.blocks))
    if all(isinstance(block, TextBlock) for block in blocks):
        return ModelMessage(role, "".join(_texts(turn.blocks)))
    return ModelMessage(role, "", blocks)


def _blocks(blocks: Iterable[WireBlock]) -> Iterator[ContentBlock]:
    for block in blocks:
        match block:
            case WireText(text=text):
                yield TextBlock(text)
            case WireMedia(kind=kind, media_type=media_type):
                yield TextBlock(f"[{kind} {media_type}]")
            case WireThought(text=text):
                yield ThinkingBlock(text)
            case WireCall(call_id=call_id, name=name, arguments=arguments):
                yield ToolCall(name, arguments, call_id)
            case WireResult(call_id=call_id, content=content, name=name):
                yield ToolResult(name, "".join(_texts(content)), call_id)


def _texts(blocks: Iterable[WireBlock]) -> Iterator[str]:
    return (block.text for block in _blocks(blocks) if isinstance(block, TextBlock))


def _schema(request: WireRequest) -> dict[str, Any] | None:
    schema = request.schema.schema if request.schema else None
    return None if schema is None else dict(schema)
