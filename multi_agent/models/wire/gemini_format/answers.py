"""Answers of generateContent, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from multi_agent.models.wire.canonical import (
    StopReason,
    WireBlock,
    WireCall,
    WireCaller,
    WireMedia,
    WireResponse,
    WireResult,
    WireUsage,
    answered,
)
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.gemini_format.parts import read_parts, write_parts
from multi_agent.models.wire.seals import shown_to

_STOPS: Final[dict[str, StopReason]] = {
    "": "end",
    "FINISH_REASON_UNSPECIFIED": "end",
    "STOP": "end",
    "MAX_TOKENS": "length",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "TOO_MANY_TOOL_CALLS": "malformed",
    "MALFORMED_RESPONSE": "malformed",
}
"""All others are kinds of refusals."""
_SAID: Final[dict[StopReason, str]] = {
    "end": "STOP",
    "calls": "STOP",
    "stop_sequence": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "context": "MAX_TOKENS",
    "refusal": "SAFETY",
    "malformed": "MALFORMED_FUNCTION_CALL",
}


def read_response(body: Any, notes: Notes, caller: WireCaller) -> WireResponse:
    """A whole answer; of several the first."""
    top = Fields(body, "$", notes)
    top.ignore("createTime", "modelStatus")
    candidates = top.children("candidates")
    for other in candidates[1:]:
        notes.lose(other.path, "one answer is passed on")
    if not candidates and not top.has("promptFeedback"):
        notes.wrong("$.candidates", "must hold an answer")
    blocks = read_candidate(candidates[0]) if candidates else []
    return WireResponse(
        response_id=top.text("responseId") or caller.response_id,
        model=top.text("modelVersion") or caller.model,
        blocks=answered(blocks, caller),
        stop=read_stop(top, candidates[0] if candidates else None, blocks) or "end",
        usage=read_usage(top.child("usageMetadata")),
    )


def read_candidate(candidate: Fields) -> list[WireBlock]:
    """What a model said."""
    content = candidate.child("content")
    if content is None:
        return []
    content.ignore("role")
    blocks = read_parts(content)
    for block in blocks:
        if isinstance(block, WireMedia | WireResult):
            candidate.notes.refuse(block.at, "answers but texts and calls are known to Gemini alone")
    return [block for block in blocks if not isinstance(block, WireMedia | WireResult)]


def write_response(response: WireResponse, notes: Notes, caller: WireCaller) -> dict[str, Any]:
    """A whole answer for a client."""
    parts = write_parts(shown_to("gemini", response.blocks), notes, to_client=True)
    stop = write_stop(response.stop, response.stop_sequence, notes)
    usage = {} if response.usage is None else {"usageMetadata": write_usage(response.usage, notes)}
    return {**response_head(response.response_id, response.model, caller), **candidate(parts, stop), **usage}


def candidate(parts: list[dict[str, Any]], stop: str = "") -> dict[str, Any]:
    """Parts as the only candidate."""
    ended = {"finishReason": stop} if stop else {}
    return {"candidates": [{"content": {"role": "model", "parts": parts}, **ended, "index": 0}]}


def response_head(response_id: str, model: str, caller: WireCaller) -> dict[str, Any]:
    """The fields of an answer that do not depend on what it says."""
    return {"responseId": response_id or caller.response_id, "modelVersion": model or caller.model}


def read_stop(top: Fields, first: Fields | None, blocks: Iterable[WireBlock]) -> StopReason | None:
    """Why an answer ended; None where that is not said."""
    feedback = top.child("promptFeedback")
    if feedback and feedback.text("blockReason"):
        return "refusal"
    if first is None:
        return None
    first.ignore("index", "safetyRatings", "avgLogprobs", "tokenCount")
    reason = first.text("finishReason")
    stop = _STOPS.get(reason, "refusal")
    if stop == "end" and any(isinstance(block, WireCall) for block in blocks):
        return "calls"
    return stop if reason else None


def write_stop(stop: StopReason, sequence: str, notes: Notes) -> str:
    """Why an answer ended, in Gemini's words."""
    if stop in ("context", "stop_sequence", "pause") or sequence:
        notes.lose("$.stop", f"that the answer ended by {stop}{f' {sequence!r}' if sequence else ''}")
    return _SAID[stop]


def read_usage(usage: Fields | None) -> WireUsage | None:
    """What was used. Thoughts are counted beside the answer, the results of tools beside the prompt."""
    if usage is None:
        return None
    usage.ignore("totalTokenCount", "promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails")
    usage.ignore("toolUsePromptTokensDetails", "trafficType")
    given = usage.whole("promptTokenCount") + usage.whole("toolUsePromptTokenCount")
    thought = usage.whole("thoughtsTokenCount")
    cached = min(usage.whole("cachedContentTokenCount"), given)
    return WireUsage(given, usage.whole("candidatesTokenCount") + thought, cached, thought=thought)


def write_usage(usage: WireUsage, notes: Notes) -> dict[str, Any]:
    """What was used, in Gemini's words."""
    if usage.written:
        notes.lose("$.usage.written", "Gemini counts no tokens written to the cache")
    return {
        "promptTokenCount": usage.given,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": max(usage.made - usage.thought, 0),
        "thoughtsTokenCount": usage.thought,
        "totalTokenCount": usage.given + usage.made,
    }
