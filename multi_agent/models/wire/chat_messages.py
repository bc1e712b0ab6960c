"""Conversations as messages of chat completions, and the content of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall
from contracts.ports.model import ModelMessage, ModelRequest, ModelTool
from multi_agent.models.wire.turns import keep, kept, results_with_texts, sent_name, text_of

THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_details")
"""Fields of a message in which servers give thoughts, and want them back."""
_ROLES: Final = {"user": "user", "model": "assistant"}


def chat_messages(request: ModelRequest, system: str, *, name: str, thoughts: bool) -> list[dict[str, Any]]:
    """The messages of a request. With `thoughts` those of the model `name` are sent back to it."""
    messages = [{"role": "system", "content": system}] if system else []
    for turn in request.messages:
        messages += _messages(turn, name if thoughts else "")
    return messages


def chat_tool(tool: ModelTool) -> dict[str, Any]:
    """A tool as services take it."""
    described = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": described}


def chat_blocks(message: Mapping[str, Any], text: str, name: str) -> tuple[ContentBlock, ...]:
    """The thoughts, the text and the calls of an answer of the model `name`."""
    thoughts = {field: message[field] for field in THOUGHTS if message.get(field)}
    shown = next((found for found in thoughts.values() if isinstance(found, str)), "")
    blocks: list[ContentBlock] = [ThinkingBlock(shown, keep(name, thoughts))] if thoughts else []
    if text.strip():
        blocks.append(TextBlock(text))
    calls = message.get("tool_calls")
    return (*blocks, *(_call(found, name) for found in calls or ()))


def _messages(turn: ModelMessage, name: str) -> Iterator[dict[str, Any]]:
    if turn.role == "model" and turn.blocks:
        yield _answer(turn, name)
    elif results := results_with_texts(turn.blocks):
        for result in results:
            yield {"role": "tool", "tool_call_id": result.call_id, "content": result.text}
    else:
        yield {"role": _ROLES[turn.role], "content": text_of(turn.contents)}


def _answer(turn: ModelMessage, name: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text_of(turn.blocks)}
    for block in turn.blocks:
        if isinstance(block, ThinkingBlock):
            message |= kept(name, block) or {}
    if calls := [_sent_call(block, name) for block in turn.blocks if isinstance(block, ToolCall)]:
        message["tool_calls"] = calls
        message["content"] = message["content"] or None
    return message


def _sent_call(call: ToolCall, name: str) -> dict[str, Any]:
    arguments = json.dumps(call.as_object, ensure_ascii=False)
    more = kept(name, call) or {}
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": sent_name(call.name), "arguments": arguments},
        **more,
    }


def _call(found: Mapping[str, Any], name: str) -> ToolCall:
    function = found.get("function")
    function = function if isinstance(function, Mapping) else {}
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    more = {field: found[field] for field in ("extra_content",) if found.get(field)}
    return ToolCall(_text(function.get("name")), text, _text(found.get("id")), keep(name, more))


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""
