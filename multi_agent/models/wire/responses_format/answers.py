"""Answers of OpenAI responses, both ways."""

from __future__ import annotations

from typing import Any

from multi_agent.models.wire.canonical import (
    StopReason,
    WireBlock,
    WireCall,
    WireCaller,
    WireResponse,
    WireText,
    WireThought,
    WireUsage,
    answered,
    ungrouped,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.responses_format.items import read_item, write_reasoning
from multi_agent.models.wire.seals import shown_to

_ECHOED = (
    "background",
    "completed_at",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""Fields of an answer that repeat the request."""
_INCOMPLETE: dict[StopReason, str] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "refusal": "content_filter",
}


def read_response(body: Any, notes: Notes, caller: WireCaller) -> WireResponse:
    """A whole answer."""
    top = Fields(body, "$", notes)
    top.ignore("object", "created_at", *_ECHOED)
    if top.text("status") in ("failed", "cancelled"):
        notes.wrong("$.status", "there is no answer")
        top.raw("error")
    elif not top.has("output"):
        notes.wrong("$.output", "must hold an answer")
    blocks = tuple(block for item in top.children("output") for block in read_item(item).blocks)
    return WireResponse(
        response_id=top.text("id") or caller.response_id,
        model=top.text("model") or caller.model,
        blocks=answered(blocks, caller),
        stop=read_stop(body, blocks, top),
        usage=read_usage(top.child("usage")),
    )


def write_response(response: WireResponse, notes: Notes, caller: WireCaller) -> dict[str, Any]:
    """A whole answer for a client."""
    response_id = response.response_id or caller.response_id
    reason = _INCOMPLETE.get(response.stop)
    if response.stop not in ("end", "calls", "length", "refusal"):
        ended = f"{response.stop} {response.stop_sequence!r}" if response.stop_sequence else response.stop
        notes.lose("$.stop", f"that the answer ended by {ended}")
    blocks = enumerate(shown_to("responses", response.blocks))
    return response_head(response_id, response.model, caller) | {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [write_item(block, item_id(block, response_id, index), caller) for index, block in blocks],
        "usage": None if response.usage is None else write_usage(response.usage),
    }


def response_head(response_id: str, model: str, caller: WireCaller) -> dict[str, Any]:
    """A response that has just begun."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": caller.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model or caller.model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }


def item_id(block: WireBlock, response_id: str, index: int) -> str:
    """The id of the item that a block of an answer becomes."""
    match block:
        case WireThought():
            return f"rs_{response_id}_{index}"
        case WireCall():
            return f"fc_{response_id}_{index}"
        case _:
            return f"msg_{response_id}_{index}"


def write_item(
    block: WireBlock, identity: str, caller: WireCaller, status: str = "completed"
) -> dict[str, Any]:
    """A block of an answer as an item."""
    match block:
        case WireThought():
            return write_reasoning(block, identity)
        case WireCall():
            group, name = ungrouped(block.name, caller.groups)
            called = {"call_id": block.call_id, "name": name, **({"namespace": group} if group else {})}
            said = {**called, "arguments": block.arguments, "status": status}
            return {"type": "function_call", "id": identity, **said}
        case _:
            content = [text_part(block.text)] if isinstance(block, WireText) and status == "completed" else []
            told = {"role": "assistant", "content": content, "status": status}
            return {"type": "message", "id": identity, **told}


def text_part(text: str) -> dict[str, Any]:
    """What is said, as the part of an item."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def read_stop(body: Any, blocks: tuple[WireBlock, ...], top: Fields) -> StopReason:
    """Why an answer ended."""
    details = top.child("incomplete_details")
    reason = details.text("reason") if details else ""
    if reason == "content_filter" or _has_refusal(body):
        return "refusal"
    if reason:
        return "length"
    return "calls" if any(isinstance(block, WireCall) for block in blocks) else "end"


def read_usage(usage: Fields | None) -> WireUsage | None:
    """What was used."""
    if usage is None:
        return None
    usage.ignore("total_tokens")
    given, made = usage.child("input_tokens_details"), usage.child("output_tokens_details")
    return WireUsage(
        given=usage.whole("input_tokens"),
        made=usage.whole("output_tokens"),
        cached=given.whole("cached_tokens") if given else 0,
        written=given.whole("cache_write_tokens") if given else 0,
        thought=made.whole("reasoning_tokens") if made else 0,
    )


def write_usage(usage: WireUsage) -> dict[str, Any]:
    """What was used, in the words of responses."""
    return {
        "input_tokens": usage.given,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.made,
        "output_tokens_details": {"reasoning_tokens": usage.thought},
        "total_tokens": usage.given + usage.made,
    }


def _has_refusal(body: Any) -> bool:
    items = body.get("output") if isinstance(body, dict) else None
    items = items if isinstance(items, list) else []
    parts = [part for item in items if isinstance(item, dict) for part in _parts(item)]
    return any(isinstance(part, dict) and part.get("type") == "refusal" for part in parts)


def _parts(item: dict[str, Any]) -> list[Any]:
    content = item.get("content")
    return content if isinstance(content, list) else []
