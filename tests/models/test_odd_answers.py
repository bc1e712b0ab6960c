"""Odd answers of services, in the format of each: with status 200, and not as the format has it."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any, Final

import pytest

from agents.loop.step import read_step
from contracts.base.errors import ModelBlocked, ModelRefused, ModelUnavailable, MultiAgentError
from contracts.ports.model import ModelRequest, ModelResponse
from tests.models.rigs import HTTP_KINDS, asking, http_client
from tests.models.test_tools import NATIVE, REQUEST
from tests.support.model_server import ModelServer, Raw, Received, Stall

Body = dict[str, Any] | list[Any]
IN_TEXT: Final = '<tool_call>\n{"name": "read", "arguments": {"path": "a.py"}}\n</tool_call>'

READ: Final = {"name": "read", "arguments": "{}"}


def chat(message: Any, finish: Any = "stop", **fields: Any) -> Body:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], **fields}


def responses(*parts: Any, **fields: Any) -> Body:
    return {"output": [{"type": "message", "role": "assistant", "content": list(parts)}], **fields}


SAID_FINE: Final = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "fine"}],
}


def messages(content: Any, stop: Any = "end_turn", **fields: Any) -> Body:
    return {"type": "message", "role": "assistant", "content": content, "stop_reason": stop, **fields}


def gemini(parts: Any, finish: Any = "STOP", **fields: Any) -> Body:
    content = {"role": "model", "parts": parts} if parts is not None else None
    return {"candidates": [{"content": content, "finishReason": finish}], **fields}


def output(said: str) -> dict[str, Any]:
    return {"type": "output_text", "text": said}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


ODD: Final[dict[str, dict[str, Body]]] = {
    "no answer": {
        "openai": {"choices": []},
        "openai-responses": {"output": []},
        "anthropic": messages([]),
        "gemini": {"candidates": []},
    },
    "null instead of one": {
        "openai": chat({"role": "assistant", "content": None}),
        "openai-responses": responses(output=[{"type": "message", "role": "assistant", "content": None}]),
        "anthropic": messages([], None),
        "gemini": gemini(None),
    },
    "blank": {
        "openai": chat({"content": " \n"}),
        "openai-responses": responses(output(" \n")),
        "anthropic": messages([text(" \n")]),
        "gemini": gemini([{"text": " \n"}]),
    },
    "thoughts alone": {
        "openai": chat({"content": None, "reasoning_content": "Hm."}),
        "openai-responses": {
            "output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}]
        },
        "anthropic": messages([{"type": "thinking", "thinking": "Hm.", "signature": ""}]),
        "gemini": gemini([{"text": "Hm.", "thought": True}]),
    },
    "overloaded": {
        "openai": {"error": {"message": "busy", "code": 503}},
        "openai-responses": {
            "status": "failed",
            "error": {"code": "server_is_overloaded", "message": "busy"},
            "output": [],
        },
        "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
        "gemini": {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}},
    },
    "another document": {
        "openai": {"status": "ok"},
        "openai-responses": {"status": "ok"},
        "anthropic": {"status": "ok"},
        "gemini": {"status": "ok"},
    },
    "a list": {"openai": [], "openai-responses": [], "anthropic": [], "gemini": []},
    "refused": {
        "openai": chat({"content": None, "refusal": "I will not."}),
        "openai-responses": responses({"type": "refusal", "refusal": "I will not."}),
        "anthropic": messages([text("I will not.")], "refusal"),
        "gemini": gemini(None, "PROHIBITED_CONTENT"),
    },
    "the request blocked": {
        "openai": chat({"content": ""}, "content_filter"),
        "openai-responses": {"output": [], "incomplete_details": {"reason": "content_filter"}},
        "anthropic": messages([], "refusal"),
        "gemini": {"promptFeedback": {"blockReason": "SAFETY"}},
    },
}
ENDS: Final[dict[str, type[MultiAgentError]]] = {
    "overloaded": ModelUnavailable,
    "another document": ModelUnavailable,
    "a list": ModelUnavailable,
    "refused": ModelBlocked,
    "the request blocked": ModelBlocked,
}
"""How an odd answer ends that is not just refused."""
GOOD: Final[dict[str, dict[str, Body]]] = {
    "no usage": {
        "openai": chat({"content": "fine"}),
        "openai-responses": responses(output("fine")),
        "anthropic": messages([text("fine")]),
        "gemini": gemini([{"text": "fine"}]),
    },
    "usage that is none": {
        "openai": chat({"content": "fine"}, usage={"prompt_tokens": -1, "completion_tokens": "7"}),
        "openai-responses": responses(output("fine"), usage={"input_tokens": -1, "output_tokens": "7"}),
        "anthropic": messages([text("fine")], usage={"input_tokens": None, "output_tokens": -3}),
        "gemini": gemini([{"text": "fine"}], usageMetadata={}),
    },
    "no reason for its end": {
        "openai": chat({"content": "fine"}, None),
        "openai-responses": responses(output("fine"), status=None, incomplete_details=None),
        "anthropic": messages([text("fine")], None),
        "gemini": gemini([{"text": "fine"}], None),
    },
    "thoughts beside it": {
        "openai": chat({"content": "fine", "reasoning_content": "Hm.", "reasoning": "Hm."}),
        "openai-responses": {"output": [{"type": "reasoning", "id": "r", "summary": []}, SAID_FINE]},
        "anthropic": messages(
            [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, text("fine")], "end_turn"
        ),
        "gemini": gemini([{"text": "Hm.", "thought": True}, {"text": "fine"}]),
    },
    "fields and parts of tomorrow": {
        "openai": chat({"content": "fine", "mood": {"a": 1}}, service_tier="x", usage={"new": []}),
        "openai-responses": responses(output("fine"), {"type": "mood"}, mood={"a": 1}, usage={"new": []}),
        "anthropic": messages([text("fine"), {"type": "mood", "mood": 1}], container={}, usage={"new": []}),
        "gemini": gemini([{"text": "fine"}, {"mood": 1}], usageMetadata={"mood": 1}, mood=2),
    },
    "text in parts": {
        "openai": chat({"content": [text("fi"), text("ne")]}),
        "openai-responses": responses(output("fi"), output("ne")),
        "anthropic": messages([text("fi"), text("ne")]),
        "gemini": gemini([{"text": "fi"}, {"text": "ne"}]),
    },
}
CALLS: Final[dict[str, dict[str, Body]]] = {
    "in its text": {
        "openai": chat({"content": IN_TEXT}),
        "openai-responses": responses(output(IN_TEXT)),
        "anthropic": messages([text(IN_TEXT)]),
        "gemini": gemini([{"text": IN_TEXT}]),
    },
    "with the wrong reason for its end": {
        "openai": chat({"tool_calls": [{"id": "c", "function": READ}]}, "stop"),
        "openai-responses": {
            "output": [{"type": "function_call", "call_id": "c", **READ}],
            "incomplete_details": {"reason": "odd"},
        },
        "anthropic": messages([{"type": "tool_use", "id": "c", "name": "read", "input": {}}], "end_turn"),
        "gemini": gemini([{"functionCall": {"name": "read", "args": {}}}], "FINISH_REASON_UNSPECIFIED"),
    },
    "without a name of its own": {
        "openai": chat({"tool_calls": [{"function": READ}]}, "tool_calls"),
        "openai-responses": {"output": [{"type": "function_call", **READ}]},
        "anthropic": messages([{"type": "tool_use", "name": "read", "input": {}}], "tool_use"),
        "gemini": gemini([{"functionCall": {"name": "read"}}]),
    },
}


async def outcomes(
    kind: str, table: dict[str, dict[str, Body]], request: ModelRequest | None = None
) -> dict[str, ModelResponse | MultiAgentError]:
    """What becomes of each answer of the table, by its name; one client asks for all."""
    bodies = [Raw(json.dumps(row[kind]).encode()) for row in table.values()]
    found: dict[str, ModelResponse | MultiAgentError] = {}
    with ModelServer(bodies) as server:
        async with http_client(kind, server) as client:
            for name in table:
                try:
                    found[name] = await client.complete(replace(request or asking(), purpose=f"coder.{name}"))
                except MultiAgentError as error:
                    found[name] = error
    return found


@pytest.mark.parametrize("kind", NATIVE)
async def test_an_odd_answer_has_a_clear_end(kind: str) -> None:
    found = await outcomes(kind, ODD)
    kinds = {name: type(error) for name, error in found.items()}
    assert kinds == dict.fromkeys(ODD, ModelRefused) | ENDS
    for error in map(str, found.values()):
        assert error.startswith(f"model {kind}:the-model")
        assert "\n" not in error
        assert "Hm." not in error


@pytest.mark.parametrize("kind", NATIVE)
async def test_what_is_odd_beside_a_good_answer_does_not_matter(kind: str) -> None:
    assert await outcomes(kind, GOOD) == dict.fromkeys(GOOD, ModelResponse("fine", "the-model"))


@pytest.mark.parametrize("kind", NATIVE)
async def test_a_call_is_one_however_it_is_written(kind: str) -> None:
    """And no answer at all is for the loop to mend."""
    empty = {"nothing": ODD["null instead of one"]}
    found = await outcomes(kind, CALLS | empty, REQUEST)
    for name, answer in found.items():
        assert isinstance(answer, ModelResponse), name
        step = await read_step(answer, 1)
        if name == "nothing":
            assert step.problem.startswith("No tool was called")
            continue
        [call] = step.calls
        assert call.name == "read"
        assert call.call_id


class Silent:
    """A script that says nothing, and knows when it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def __call__(self, received: Received) -> Stall:
        self.asked.set()
        return Stall()


@pytest.mark.parametrize("kind", [kind for kind in HTTP_KINDS if kind != "gemini-legacy"])
@pytest.mark.parametrize("asked", [asking(), REQUEST], ids=["plain", "tools"])
async def test_a_cancelled_request_ends_at_its_service(kind: str, asked: ModelRequest) -> None:
    """The service sees the connection close at once, not at the time limit of the attempt."""
    script = Silent()
    with ModelServer(script) as server:
        async with http_client(kind, server, timeout_seconds=300) as client:
            task = asyncio.create_task(client.complete(asked))
            assert await asyncio.to_thread(script.asked.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.hung_up.wait, 30)
