"""Calls of tools as text, for models that can call none: a document with a thought and calls.

`in_text` writes a request so, `blocks_in` reads an answer. The two fit together: an answer that was read is
shown to the model again in this form, whichever form it had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from contracts.base.errors import InvalidDocument, Problem
from contracts.base.model_answer import parse_answer
from contracts.base.text import fenced
from contracts.ports.content import ContentBlock, TextBlock, ToolCall, ToolResult
from contracts.ports.model import ModelMessage, ModelRequest, ModelTool

MOST_CALLS: Final = 8
_RULES: Final = f"""
Each answer is one JSON document: a thought, and one to {MOST_CALLS} calls of tools, done in their order.

The JSON Schema of an answer:
"""
# As several families of models write calls when they are not asked to use another form.
_TAG: Final = "<tool_call>"
_TAGGED: Final = re.compile(rf"{_TAG}(.*?)(?:</tool_call>|\Z)", re.DOTALL)
# A key that calls have, in any quotes; a tag; a text that begins as JSON does, in a fence or without.
_LIKE_CALL: Final = re.compile(
    rf"""["'](?:thought|calls|tool|arguments|parameters)["']\s*:|{_TAG}"""
    r"""|\A\s*(?:```\w*\s*)?[\[{]\s*(?:["'\[{}\]]|\Z)"""
)


def in_text(request: ModelRequest) -> ModelRequest:
    """The same request without tools: they are described, and each turn is text."""
    if not request.tools:
        return request
    schema = step_schema(request.tools)
    described = fenced(json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True), "json")
    return replace(
        request,
        system=f"{request.system.rstrip()}\n{_RULES}\n{described}\n",
        messages=tuple(_turn(message) for message in request.messages),
        response_schema=schema,
        tools=(),
    )


def step_schema(tools: Iterable[ModelTool]) -> dict[str, Any]:
    """The JSON Schema of an answer with calls of these tools."""
    return {
        "type": "object",
        "properties": {
            "thought": {"type": "string", "description": "what you know now, and why you do this next"},
            "calls": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_CALLS,
                "items": {"anyOf": [_call_schema(tool) for tool in tools]},
            },
        },
        "required": ["thought", "calls"],
        "additionalProperties": False,
    }


def blocks_in(text: str) -> tuple[ContentBlock, ...]:
    """The thought and the calls in an answer. Raises InvalidDocument where there is no call in it."""
    blocks: list[ContentBlock] = []
    for document in _documents(text):
        blocks += _blocks_of(document)
    if not any(isinstance(block, ToolCall) for block in blocks):
        raise InvalidDocument("answer", [Problem("calls", "at least one is needed")])
    return tuple(blocks)


def looks_like_call(text: str) -> bool:
    """Whether an answer without a readable call may have been meant as one, and not as prose with braces."""
    return _LIKE_CALL.search(text) is not None


def _documents(text: str) -> list[object]:
    """The whole answer where it has calls, or tags in its own text; else what stands between the tags."""
    tagged: list[str] = _TAGGED.findall(text)
    if not tagged:
        return [parse_answer(text)]
    with suppress(InvalidDocument):
        whole = parse_answer(text)
        if _TAG in json.dumps(whole) or (isinstance(whole, dict) and whole.get("calls")):
            return [whole]
    return [parse_answer(part) for part in tagged]


def _call_schema(tool: ModelTool) -> dict[str, Any]:
    arguments = {**tool.parameters, "additionalProperties": False}
    return {
        "type": "object",
        "description": tool.description,
        "properties": {"tool": {"const": tool.name}, "arguments": arguments},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }


def _turn(message: ModelMessage) -> ModelMessage:
    if not message.blocks:
        return message
    calls = [block for block in message.blocks if isinstance(block, ToolCall)]
    parts = [_shown(block) for block in message.blocks if isinstance(block, TextBlock | ToolResult)]
    text = "\n\n".join(part for part in parts if part)
    return ModelMessage(message.role, _step(text, calls) if calls else text)


def _shown(block: TextBlock | ToolResult) -> str:
    return block.text if isinstance(block, TextBlock) else f"{block.name}:\n{fenced(block.text)}"


def _step(thought: str, calls: Sequence[ToolCall]) -> str:
    named = [{"tool": call.name, "arguments": call.as_object} for call in calls]
    return json.dumps({"thought": thought, "calls": named}, ensure_ascii=False, separators=(",", ":"))


def _blocks_of(document: object) -> list[ContentBlock]:
    if isinstance(document, list):
        return [_call(one) for one in document]
    if not isinstance(document, dict):
        return []
    if not isinstance(document.get("calls"), list):
        return [_call(document)] if _name_of(document) else []
    thought = document.get("thought")
    blocks: list[ContentBlock] = [TextBlock(thought)] if isinstance(thought, str) and thought else []
    return blocks + [_call(one) for one in document["calls"]]


def _call(found: object) -> ToolCall:
    """A call as it was written; one that is none has no name, which is refused like any unknown one."""
    if not isinstance(found, dict):
        return ToolCall("", json.dumps(found))
    arguments: Any = next((found[key] for key in ("arguments", "parameters") if key in found), {})
    return ToolCall(_name_of(found), arguments if isinstance(arguments, str) else json.dumps(arguments))


def _name_of(found: dict[Any, Any]) -> str:
    name = next((found[key] for key in ("tool", "name") if key in found), "")
    return name if isinstance(name, str) else ""
