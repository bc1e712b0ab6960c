"""How the test server of models writes answers, and what a strict service objects to in a request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.support import model_wire_responses

SIGNATURE = "c2lnbmVkIQ=="
"""What Gemini wants back with a call."""
_ANTHROPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ANTHROPIC_MARKS = 4
_GEMINI_FINISH = {
    "stop": ("STOP", 1),
    "length": ("MAX_TOKENS", 2),
    "content_filter": ("SAFETY", 3),
    "malformed": ("MALFORMED_FUNCTION_CALL", 10),
}

_ANTHROPIC_FINISH = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_RESPONSES_REASON = {"length": "max_output_tokens", "content_filter": "content_filter"}

Api = Literal["openai", "responses", "gemini", "anthropic"]


@dataclass(frozen=True)
class Received:
    """A request as it came in; header names are in lower case."""

    api: Api
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def prompt(self) -> str:
        """The text of the last turn."""
        if self.api == "openai":
            return str(self.body["messages"][-1]["content"])
        if self.api == "responses":
            return model_wire_responses.last_text(self.body)
        if self.api == "anthropic":
            parts = self.body["messages"][-1]["content"]
            return "".join(part["text"] if "text" in part else part["content"] for part in parts)
        return "".join(
            part["text"] if "text" in part else str(part["functionResponse"]["response"]["output"])
            for part in self.body["contents"][-1]["parts"]
        )


@dataclass(frozen=True)
class Say:
    """An answer. `finish` is OpenAI's name ("stop", "length", "content_filter") and translated for Gemini,
    which knows "malformed" too."""

    text: str
    thoughts: tuple[str, ...] = ()
    finish: str = "stop"
    input_tokens: int = 11
    output_tokens: int = 7
    calls: tuple[tuple[str, str], ...] = ()
    """Names and arguments of tools, the latter as a JSON text."""
    cached_tokens: int = 0


@dataclass(frozen=True)
class Blocked:
    """The prompt itself is refused."""


def answer_of(received: Received, step: Say | Blocked) -> dict[str, Any]:
    """The body of an answer."""
    makers = {
        "openai": _openai_answer,
        "responses": _responses_answer,
        "gemini": _gemini_answer,
        "anthropic": _anthropic_answer,
    }
    return makers[received.api](received, step)


def fault_in(received: Received) -> str:
    """What is wrong with the calls and results of a request; "" for nothing."""
    finders = {
        "openai": _openai_fault,
        "responses": model_wire_responses.fault_of,
        "gemini": _gemini_fault,
        "anthropic": _anthropic_fault,
    }
    return finders[received.api](received.body)


def _openai_fault(body: Mapping[str, Any]) -> str:
    open_calls: list[str] = []
    for message in body.get("messages", ()):
        if message["role"] == "tool":
            if not open_calls or message["tool_call_id"] != open_calls.pop(0):
                return f"no call {message['tool_call_id']!r} is open"
            continue
        if open_calls:
            return f"calls without results: {open_calls}"
        for call in message.get("tool_calls", ()):
            if (
                not isinstance(json.loads(call["function"]["arguments"]), dict)
                or not call["function"]["name"]
            ):
                return "a call without a name or an object"
            open_calls.append(call["id"])
        if open_calls and len(set(open_calls)) < len(open_calls):
            return "two calls of one name"
        if open_calls and message.get("reasoning_content") == "":
            return "reasoning_content is missing"
    return f"calls without results: {open_calls}" if open_calls else ""


def _gemini_fault(body: Mapping[str, Any]) -> str:
    calls = 0
    for content in body.get("contents", ()):
        answered = sum("functionResponse" in part for part in content["parts"])
        if answered != calls or (answered and answered < len(content["parts"])):
            return f"{calls} calls, {answered} responses"
        asked = [part for part in content["parts"] if "functionCall" in part]
        if asked and asked[0].get("thoughtSignature") != SIGNATURE:
            return "function call is missing a thought_signature"
        if not content["parts"] or any(not part["functionCall"]["name"] for part in asked):
            return "no parts, or a call without a name"
        calls = len(asked)
    return ""


def _anthropic_fault(body: Mapping[str, Any]) -> str:
    """Turns, results right after their calls, signed thoughts, marks of what is cached."""
    if "temperature" in body or not body.get("max_tokens"):
        return "temperature: not supported, or no max_tokens"
    open_calls: list[str] = []
    for turn in body["messages"]:
        parts = turn["content"]
        answered = [part["tool_use_id"] for part in parts if part["type"] == "tool_result"]
        if answered != open_calls or any(part["type"] != "tool_result" for part in parts[: len(answered)]):
            return f"tool_use ids {open_calls} were found without tool_result blocks immediately after"
        if not parts or (fault := next(filter(None, map(_fault_of_part, parts)), "")):
            return fault or "content must not be empty"
        open_calls = [part["id"] for part in parts if part["type"] == "tool_use"]
    marks = json.dumps(body).count("cache_control")
    if body["messages"][-1]["role"] != "user" or marks > _ANTHROPIC_MARKS:
        return "the conversation must end with a user message; at most 4 blocks with cache_control"
    return f"calls without results: {open_calls}" if open_calls else ""


def _fault_of_part(part: Mapping[str, Any]) -> str:
    match part["type"]:
        case "text" if not part["text"].strip():
            return "text content blocks must be non-empty"
        case "thinking" if part["signature"] != SIGNATURE:
            return "invalid signature in thinking block"
        case "tool_use" if not all(_ANTHROPIC_NAME.fullmatch(part[field]) for field in ("id", "name")):
            return "tool_use.id: string should match pattern"
        case _:
            return ""


def _anthropic_answer(received: Received, step: Say | Blocked) -> dict[str, Any]:
    if isinstance(step, Blocked):
        step = Say("I will not.", finish="content_filter")
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": thought, "signature": SIGNATURE} for thought in step.thoughts
    ]
    content += [{"type": "text", "text": step.text}] if step.text else []
    content += [
        {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": json.loads(text)}
        for place, (name, text) in enumerate(step.calls)
    ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{received.body['model']}-0001",
        "content": content,
        "stop_reason": "tool_use" if step.calls else _ANTHROPIC_FINISH[step.finish],
        "stop_sequence": None,
        "usage": {
            "input_tokens": step.input_tokens - step.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": step.cached_tokens,
            "output_tokens": step.output_tokens,
        },
    }


def _openai_answer(received: Received, step: Say | Blocked) -> dict[str, Any]:
    if isinstance(step, Blocked):
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": "I will not."}
        step = Say("")
    else:
        message = {"role": "assistant", "content": step.text}
        if step.thoughts:
            message["reasoning_content"] = "".join(step.thoughts)
        if step.calls:
            message["tool_calls"] = [
                {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": text}}
                for place, (name, text) in enumerate(step.calls)
            ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{received.body['model']}-0001",
        "choices": [{"index": 0, "message": message, "finish_reason": step.finish}],
        "usage": {
            "prompt_tokens": step.input_tokens,
            "completion_tokens": step.output_tokens,
            "total_tokens": step.input_tokens + step.output_tokens,
            "prompt_tokens_details": {"cached_tokens": step.cached_tokens},
        },
    }


def _responses_answer(received: Received, step: Say | Blocked) -> dict[str, Any]:
    refusal = "I will not." if isinstance(step, Blocked) else ""
    step = Say("") if isinstance(step, Blocked) else step
    usage = {
        "input_tokens": step.input_tokens,
        "input_tokens_details": {"cached_tokens": step.cached_tokens},
        "output_tokens": step.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": step.input_tokens + step.output_tokens,
    }
    return model_wire_responses.answer_to(
        received.body["model"],
        text=step.text,
        refusal=refusal,
        thoughts=step.thoughts,
        calls=step.calls,
        reason=_RESPONSES_REASON.get(step.finish),
        usage=usage,
    )


def _gemini_answer(received: Received, step: Say | Blocked) -> dict[str, Any]:
    # The older SDK asks for enumerations as numbers.
    numbers = "enum-encoding" in received.path
    if isinstance(step, Blocked):
        reason = 1 if numbers else "SAFETY"
        return {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 11}}
    parts: list[dict[str, Any]] = [{"text": thought, "thought": True} for thought in step.thoughts]
    parts += [{"text": step.text}] if step.text else []
    for place, (name, text) in enumerate(step.calls):
        signed = {} if place else {"thoughtSignature": SIGNATURE}
        parts.append({"functionCall": {"name": name, "args": json.loads(text)}, **signed})
    model = received.path.partition("/models/")[2].partition(":")[0]
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": parts},
                "finishReason": _GEMINI_FINISH[step.finish][numbers],
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": step.input_tokens,
            "candidatesTokenCount": step.output_tokens,
            "totalTokenCount": step.input_tokens + step.output_tokens,
            "cachedContentTokenCount": step.cached_tokens,
        },
        "modelVersion": f"{model}-0001",
    }
