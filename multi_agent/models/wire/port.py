"""Conversations of our own agents, the model port's, in the form between all formats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelMessage, ModelRequest, ModelTool
from multi_agent.models.wire.canonical import (
    FormatName,
    Role,
    WireBlock,
    WireCall,
    WireResult,
    WireSeal,
    WireText,
    WireThought,
    WireTool,
    WireTurn,
)

_ROLES: Final[dict[str, Role]] = {"user": "user", "model": "assistant"}
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NOTHING: Final = "(nothing)"
"""Instead of a turn without content, which Anthropic refuses."""


@dataclass(frozen=True, slots=True)
class PortReader:
    """Reads what the port says for the model of this name, which a service of this format has."""

    owner: FormatName
    name: str
    """"" where its own thoughts are not to be sent back to it."""

    def turns(self, request: ModelRequest) -> tuple[WireTurn, ...]:
        """The turns of a request.

        Anthropic's service takes no empty texts, and is told to keep a conversation with tools in its cache,
        since another request follows. The others take no text beside results, and none between them and the
        next answer, so it stands with the last result; to chat completions a turn says one text.
        """
        turns = tuple(self._turn(turn) for turn in request.messages)
        if self.owner != "anthropic" or not request.tools or not turns:
            return turns
        *before, last = turns
        *others, end = last.blocks
        if isinstance(end, WireText | WireResult | WireCall):
            end = replace(end, cache="default")
        return (*before, replace(last, blocks=(*others, end)))

    def _turn(self, turn: ModelMessage) -> WireTurn:
        blocks: Sequence[ContentBlock] = turn.contents
        if self.owner == "anthropic":
            blocks = [block for block in blocks if not isinstance(block, TextBlock) or block.text.strip()]
            blocks = sorted(blocks, key=lambda block: not isinstance(block, ToolResult))
        elif results := _results_with_texts(turn.blocks):
            blocks = results
        elif self.owner == "chat":
            blocks = _one_text(blocks)
        found = tuple(block for one in blocks for block in self._block(one))
        if self.owner == "anthropic" and not found:
            found = (WireText(_NOTHING),)
        return WireTurn(_ROLES[turn.role], found)

    def _block(self, block: ContentBlock) -> Iterator[WireBlock]:
        seal = self._seal(block)
        match block:
            case TextBlock(text=text) if text or seal or self.owner == "chat":
                yield WireText(text, seal=seal)
            case ThinkingBlock(text=text) if seal:
                yield WireThought(text, seal)
            case ToolCall():
                arguments = json.dumps(block.as_object, ensure_ascii=False)
                yield WireCall(self._id(block.call_id), sent_name(block.name), arguments, seal)
            case ToolResult():
                content = (WireText(block.text),)
                yield WireResult(self._id(block.call_id), content, name=sent_name(block.name))

    def _id(self, call_id: str) -> str:
        return sent_name(call_id) if self.owner == "anthropic" else call_id

    def _seal(self, block: ContentBlock) -> WireSeal | None:
        text = getattr(block, "kept", "")
        found = json.loads(text) if text else {}
        raw = found.get(self.name) if isinstance(found, dict) else None
        return WireSeal(self.owner, raw) if raw else None


def port_tool(tool: ModelTool) -> WireTool:
    """A tool of the port."""
    schema = json.loads(json.dumps(tool.parameters, default=dict))
    return WireTool(tool.name, tool.description, schema)


def port_blocks(blocks: Iterable[WireBlock], name: str) -> tuple[ContentBlock, ...]:
    """The thoughts, the text and the calls of an answer of the model `name`; nothing else of it."""
    return tuple(block for one in blocks for block in _said(one, name))


def sent_name(name: str) -> str:
    """The name of a tool as every service takes it; models call tools that are not there, in any spelling."""
    return _NOT_IN_NAMES.sub("_", name)[:64] or "unknown"


def _said(block: WireBlock, name: str) -> Iterator[ContentBlock]:
    match block:
        case WireText(text=text) if text.strip() or block.seal:
            yield TextBlock(text, _keep(name, block.seal))
        case WireThought():
            yield ThinkingBlock(block.text, _keep(name, block.seal))
        case WireCall():
            yield ToolCall(block.name, block.arguments, block.call_id, _keep(name, block.seal))


def _keep(name: str, seal: WireSeal | None) -> str:
    """Text for a block's `kept`, for the model of this name; "" for nothing."""
    if seal is None:
        return ""
    kept: dict[str, Any] = {name: seal.raw}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def _results_with_texts(blocks: Sequence[ContentBlock]) -> list[ToolResult]:
    """The results of a turn; what else it says stands with the last one."""
    results = [block for block in blocks if isinstance(block, ToolResult)]
    said = _text_of(blocks)
    if results and said:
        last = results[-1]
        results[-1] = ToolResult(last.name, f"{last.text}\n\n{said}", last.call_id)
    return results


def _one_text(blocks: Sequence[ContentBlock]) -> list[ContentBlock]:
    others = [block for block in blocks if not isinstance(block, TextBlock)]
    said = _text_of(blocks)
    has_calls = any(isinstance(block, ToolCall) for block in blocks)
    return [*([TextBlock(said)] if said or not has_calls else []), *others]


def _text_of(blocks: Sequence[ContentBlock]) -> str:
    return "\n\n".join(block.text for block in blocks if isinstance(block, TextBlock) and block.text)
