"""Conversations as Anthropic messages, and the content of an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelMessage, ModelRequest, ModelTool
from multi_agent.models.wire.turns import keep, kept, sent_name

_ROLES: Final = {"user": "user", "model": "assistant"}
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
_NOTHING: Final = {"type": "text", "text": "(nothing)"}
"""Instead of a turn without content, which the service refuses."""
CACHED: Final = {"type": "ephemeral"}


def anthropic_messages(request: ModelRequest, *, name: str, thoughts: bool) -> list[dict[str, Any]]:
    """The turns of a request. With `thoughts` those of the model `name` are sent back to it.

    Where the request has tools, another follows it: the end of the last turn is marked to be kept in the
    service's cache.
    """
    turns = [_turn(turn, name if thoughts else "") for turn in request.messages]
    if request.tools and turns:
        turns[-1]["content"][-1]["cache_control"] = CACHED
    return turns


def anthropic_system(request: ModelRequest, system: str) -> list[dict[str, Any]]:
    """The system text, after the tools the part that all requests of a conversation have in common."""
    marked = {"cache_control": CACHED} if request.tools else {}
    return [{"type": "text", "text": system, **marked}] if system.strip() else []


def anthropic_tool(tool: ModelTool) -> dict[str, Any]:
    """A tool as the service takes it."""
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}


def anthropic_blocks(content: Sequence[Mapping[str, Any]], name: str) -> tuple[ContentBlock, ...]:
    """The thoughts, the text and the calls of an answer of the model `name`; nothing else of it."""
    return tuple(block for part in content for block in _read(part, name))


def _turn(turn: ModelMessage, name: str) -> dict[str, Any]:
    # Results come first: the service wants them right after their calls.
    blocks = sorted(turn.contents, key=lambda block: not isinstance(block, ToolResult))
    content = [sent for block in blocks for sent in _sent(block, name)]
    return {"role": _ROLES[turn.role], "content": content or [dict(_NOTHING)]}


def _sent(block: ContentBlock, name: str) -> Iterator[dict[str, Any]]:
    match block:
        case TextBlock(text=text) if text.strip():
            yield {"type": "text", "text": text}
        case ThinkingBlock() if own := kept(name, block):
            yield own
        case ToolCall():
            called = {"name": sent_name(block.name), "input": block.as_object}
            yield {"type": "tool_use", "id": sent_name(block.call_id), **called}
        case ToolResult():
            yield {"type": "tool_result", "tool_use_id": sent_name(block.call_id), "content": block.text}


def _read(part: Mapping[str, Any], name: str) -> Iterator[ContentBlock]:
    match part:
        case {"type": "text", "text": str(text)} if text.strip():
            yield TextBlock(text)
        case {"type": str(kind)} if kind in _THOUGHTS:
            thought = part.get("thinking")
            yield ThinkingBlock(thought if isinstance(thought, str) else "", keep(name, dict(part)))
        case {"type": "tool_use", "name": str(tool), "id": str(call_id)}:
            yield ToolCall(tool, json.dumps(part.get("input", {}), ensure_ascii=False), call_id)
