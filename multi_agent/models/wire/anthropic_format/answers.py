"""Answers of Anthropic messages, both ways."""

from __future__ import annotations

from typing import Any, Final

from multi_agent.models.wire.anthropic_format.blocks import read_content, write_blocks
from multi_agent.models.wire.canonical import StopReason, WireCaller, WireResponse, WireUsage, answered
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.seals import shown_to

STOPS: Final[dict[str, StopReason]] = {
    "end_turn": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "context",
    "stop_sequence": "stop_sequence",
    "tool_use": "calls",
    "refusal": "refusal",
    "pause_turn": "pause",
}
_SAID: Final = {meant: said for said, meant in STOPS.items()} | {"malformed": "end_turn"}


def read_response(body: Any, notes: Notes, caller: WireCaller) -> WireResponse:
    """A whole answer."""
    top = Fields(body, "$", notes)
    top.ignore("type", "role")
    if not top.has("content"):
        notes.wrong("$.content", "must hold an answer")
    return WireResponse(
        response_id=top.text("id") or caller.response_id,
        model=top.text("model") or caller.model,
        blocks=answered(read_content(top, "content"), caller),
        stop=read_stop(top.text("stop_reason")),
        stop_sequence=top.text("stop_sequence"),
        usage=read_usage(top.child("usage")),
    )


def write_response(response: WireResponse, notes: Notes, caller: WireCaller) -> dict[str, Any]:
    """A whole answer for a client."""
    blocks = shown_to("anthropic", response.blocks)
    return {
        **message_head(response.response_id or caller.response_id, response.model or caller.model),
        "content": write_blocks(blocks, notes, to_client=True),
        "stop_reason": write_stop(response.stop, notes),
        "stop_sequence": response.stop_sequence or None,
        "usage": write_usage(response.usage or WireUsage()),
    }


def message_head(response_id: str, model: str) -> dict[str, Any]:
    """The fields of a message that do not depend on what it says."""
    return {"id": response_id, "type": "message", "role": "assistant", "model": model}


def read_stop(said: str) -> StopReason:
    """Why an answer ended."""
    return STOPS.get(said, "end")


def write_stop(stop: StopReason, notes: Notes) -> str:
    """Why an answer ended, in Anthropic's words."""
    if stop == "malformed":
        notes.lose("$.stop", "that the service could not read a call of the model")
    return _SAID[stop]


def read_usage(usage: Fields | None, before: WireUsage | None = None) -> WireUsage | None:
    """What was used; `before` is what a stream said earlier, of which the request's part still holds."""
    if usage is None:
        return before
    before = before or WireUsage()
    cached, written = (
        usage.take("cache_read_input_tokens", int),
        usage.take("cache_creation_input_tokens", int),
    )
    plain = usage.take("input_tokens", int)
    details = usage.child("output_tokens_details")
    usage.ignore("cache_creation", "service_tier", "inference_geo")
    cached = before.cached if cached is None else cached
    written = before.written if written is None else written
    if plain is None:
        plain = before.given - before.cached - before.written
    thought = details.whole("thinking_tokens") if details else before.thought
    made = usage.whole("output_tokens") if usage.has("output_tokens") else before.made
    return WireUsage(plain + cached + written, made, cached, written, thought)


def write_usage(usage: WireUsage) -> dict[str, Any]:
    """What was used, in Anthropic's words: input tokens beside those of the cache."""
    details = {"output_tokens_details": {"thinking_tokens": usage.thought}} if usage.thought else {}
    return {
        "input_tokens": max(usage.given - usage.cached - usage.written, 0),
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.made,
        **details,
    }
