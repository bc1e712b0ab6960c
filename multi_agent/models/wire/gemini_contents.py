"""Conversations as contents of generateContent, and the content of an answer, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall
from contracts.ports.model import ModelMessage, ModelRequest, ModelTool
from multi_agent.models.wire.turns import keep, kept, results_with_texts, sent_name

_SIGNATURE: Final = "thought_signature"


def gemini_contents(request: ModelRequest, *, name: str, thoughts: bool) -> list[dict[str, Any]]:
    """The turns of a request. With `thoughts` the signatures of the model `name` are sent back to it."""
    return [
        {"role": turn.role, "parts": list(_parts(turn, name if thoughts else ""))}
        for turn in request.messages
    ]


def gemini_tool(tool: ModelTool) -> dict[str, Any]:
    """A tool as the service takes it."""
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters_json_schema": json.loads(json.dumps(tool.parameters, default=dict)),
    }


def gemini_blocks(parts: Iterable[Mapping[str, Any]], name: str) -> tuple[ContentBlock, ...]:
    """The thoughts, the text and the calls of an answer of the model `name`. Signatures are base64."""
    return tuple(block for part in parts if (block := _block(part, name)) is not None)


def _block(part: Mapping[str, Any], name: str) -> ContentBlock | None:
    signature = part.get(_SIGNATURE)
    own = keep(name, {_SIGNATURE: signature} if signature else None)
    if (call := part.get("function_call")) is not None:
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
        return ToolCall(call.get("name") or "", arguments, call.get("id") or "", own)
    text = part.get("text") or ""
    if part.get("thought"):
        return ThinkingBlock(text, own)
    return TextBlock(text, own) if text or own else None


def _parts(turn: ModelMessage, name: str) -> Iterator[dict[str, Any]]:
    if results := results_with_texts(turn.blocks):
        for result in results:
            answer = {
                "id": result.call_id,
                "name": sent_name(result.name),
                "response": {"output": result.text},
            }
            yield {"function_response": answer}
        return
    for block in turn.contents:
        own = kept(name, block) or {}
        if isinstance(block, TextBlock) and (block.text or own):
            yield {"text": block.text, **own}
        elif isinstance(block, ThinkingBlock) and own:
            yield {"text": block.text, "thought": True, **own}
        elif isinstance(block, ToolCall):
            call = {"id": block.call_id, "name": sent_name(block.name), "args": block.as_object}
            yield {"function_call": call, **own}
