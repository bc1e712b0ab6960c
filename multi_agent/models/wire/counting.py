"""How many tokens a request has at most, without asking anybody."""

from __future__ import annotations

from typing import Any

from multi_agent.models.wire.canonical import FormatName
from multi_agent.models.wire.convert import ConvertedRequest, convert_request


def token_bound(body: bytes) -> int:
    """An upper bound: no tokenizer makes more tokens of a text than it has bytes."""
    return len(body)


def asked_to_count(name: FormatName, body: Any) -> ConvertedRequest:
    """What a client asks to count the tokens of, checked as a request; it needs no limit for an answer."""
    if name == "anthropic" and isinstance(body, dict):
        return convert_request({"max_tokens": 1, **body}, name, name)
    whole = body.get("generateContentRequest") if isinstance(body, dict) else None
    return convert_request(whole or body, name, name)


def counted(name: FormatName, tokens: int) -> dict[str, Any]:
    """The answer to a client that asked for the tokens of a request, which chat completions cannot ask."""
    match name:
        case "anthropic":
            return {"input_tokens": tokens}
        case "gemini":
            return {"totalTokens": tokens}
        case _:
            return {"object": "response.input_tokens", "input_tokens": tokens}
