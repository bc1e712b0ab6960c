"""Answers of chat completions, both ways."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Final

from multi_agent.models.wire.canonical import (
    StopReason,
    WireCall,
    WireCaller,
    WireResponse,
    WireUsage,
    answered,
)
from multi_agent.models.wire.chat_format.messages import read_blocks, write_answer
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.seals import shown_to

_STOPS: Final[dict[str, StopReason]] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "refusal",
}
_SAID: Final[dict[StopReason, str]] = {
    "end": "stop",
    "length": "length",
    "context": "length",
    "stop_sequence": "stop",
    "calls": "tool_calls",
    "refusal": "content_filter",
    "pause": "stop",
    "malformed": "stop",
}


def read_response(body: Any, notes: Notes, caller: WireCaller) -> WireResponse:
    """A whole answer; of several the first."""
    top = Fields(body, "$", notes)
    top.ignore("object", "created", "system_fingerprint", "service_tier")
    choices = top.children("choices")
    message = choices[0].child("message") if choices else None
    if message is None:
        notes.wrong("$.choices", "must hold an answer")
        return WireResponse(caller.response_id, caller.model)
    for other in choices[1:]:
        notes.lose(other.path, "one answer is passed on")
    choices[0].ignore("index")
    message.ignore("role")
    is_refusal = message.has("refusal")
    blocks = answered(read_blocks(message), caller)
    stop = read_stop(choices[0].text("finish_reason"))
    return WireResponse(
        response_id=top.text("id") or caller.response_id,
        model=top.text("model") or caller.model,
        blocks=blocks,
        stop="refusal"
        if is_refusal
        else stopped_by_calls(stop, [one for one in blocks if isinstance(one, WireCall)]),
        usage=read_usage(top.child("usage")),
    )


def write_response(response: WireResponse, notes: Notes, caller: WireCaller) -> dict[str, Any]:
    """A whole answer for a client."""
    message = write_answer(shown_to("chat", response.blocks), notes, to_client=True)
    finish = write_stop(response.stop, response.stop_sequence, notes)
    usage = {} if response.usage is None else {"usage": write_usage(response.usage)}
    return {
        **completion_head(response.response_id or caller.response_id, response.model, caller),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        **usage,
    }


def completion_head(response_id: str, model: str, caller: WireCaller) -> dict[str, Any]:
    """The fields of a completion that do not depend on what it says."""
    return {"id": response_id, "created": caller.created, "model": model or caller.model}


def read_stop(said: str) -> StopReason:
    """Why an answer ended."""
    return _STOPS.get(said, "end")


def stopped_by_calls(said: StopReason, calls: Sized) -> StopReason:
    """Why an answer ended: some servers call tools and say that they just stopped."""
    return "calls" if said == "end" and len(calls) else said


def write_stop(stop: StopReason, sequence: str, notes: Notes) -> str:
    """Why an answer ended, in the words of chat completions."""
    said = _SAID[stop]
    if read_stop(said) != stop or sequence:
        notes.lose("$.stop", f"that the answer ended by {stop}{f' {sequence!r}' if sequence else ''}")
    return said


def read_usage(usage: Fields | None) -> WireUsage | None:
    """What was used."""
    if usage is None:
        return None
    usage.ignore("total_tokens")
    given, made = usage.child("prompt_tokens_details"), usage.child("completion_tokens_details")
    cached = given.whole("cached_tokens") if given else 0
    prompt = usage.whole("prompt_tokens")
    return WireUsage(
        given=prompt,
        made=usage.whole("completion_tokens"),
        cached=min(cached or usage.whole("prompt_cache_hit_tokens"), prompt),
        written=given.whole("cache_write_tokens") if given else 0,
        thought=made.whole("reasoning_tokens") if made else 0,
    )


def write_usage(usage: WireUsage) -> dict[str, Any]:
    """What was used, in the words of chat completions."""
    return {
        "prompt_tokens": usage.given,
        "completion_tokens": usage.made,
        "total_tokens": usage.given + usage.made,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "completion_tokens_details": {"reasoning_tokens": usage.thought},
    }
