"""How the test server of models writes OpenAI's responses, and what a strict service objects to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SEALED = "c2VhbGVk"
"""What the service wants back with a thought."""


def last_text(body: Mapping[str, Any]) -> str:
    """The text of the last items."""
    last = body["input"][-1]
    said = last.get("output", last.get("content"))
    return said if isinstance(said, str) else "".join(part["text"] for part in said)


def fault_of(body: Mapping[str, Any]) -> str:
    """What is wrong with the calls and results of a request; "" for nothing."""
    if body.get("store") is not False:
        return "store: this server keeps nothing"
    open_calls: list[str] = []
    for item in body["input"]:
        match item.get("type"):
            case "reasoning" if item.get("encrypted_content") != SEALED:
                return "reasoning without its encrypted_content"
            case "function_call":
                if not item["name"] or not isinstance(json.loads(item["arguments"]), dict):
                    return "a call without a name or an object"
                if item["call_id"] in open_calls:
                    return "two calls of one name"
                open_calls.append(item["call_id"])
            case "function_call_output":
                if item["call_id"] not in open_calls:
                    return f"no call {item['call_id']!r} is open"
                open_calls.remove(item["call_id"])
    return f"No tool output found for function calls {open_calls}" if open_calls else ""


def answer_to(
    model: str,
    *,
    text: str,
    refusal: str,
    thoughts: tuple[str, ...],
    calls: tuple[tuple[str, str], ...],
    reason: str | None,
    usage: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of an answer."""
    output: list[dict[str, Any]] = [
        {
            "type": "reasoning",
            "id": f"rs_{place}",
            "summary": [{"type": "summary_text", "text": thought}],
            "encrypted_content": SEALED,
        }
        for place, thought in enumerate(thoughts)
    ]
    part = {"type": "refusal", "refusal": refusal} if refusal else {"type": "output_text", "text": text}
    if text or refusal:
        output.append({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]})
    output += [
        {"type": "function_call", "id": f"fc_{at}", "call_id": f"call_{at}", "name": name, "arguments": said}
        for at, (name, said) in enumerate(calls)
    ]
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": f"{model}-0001",
        "output": output,
        "usage": usage,
    }
