"""Calls of tools: one conversation by every adapter, as tools or in words, and what services object to."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from agents.loop.step import ModelStep, read_step
from contracts.base.errors import ModelRejected, ModelUnavailable
from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelMessage, ModelRequest, ModelResponse, ModelTool
from multi_agent.models import ModelSettings, build_model, told
from multi_agent.models.adapters.accepted import Told
from tests.models.rigs import HTTP_KINDS, http_client, list_files, rig, write_recording
from tests.support.model_server import ModelServer, Received, Say, Status, Step

PATH = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS = (ModelTool("read", "Read a file.", PATH), ModelTool("finish", "End.", {"type": "object"}))
REQUEST = ModelRequest("coder.step", "You work.", (ModelMessage("user", "do it"),), tools=TOOLS)
CALLS = (("read", '{"path": "a\\nb"}'), ("read", '{"path": "ü"}'))
IN_WORDS = json.dumps(
    {"thought": "I look.", "calls": [{"tool": name, "arguments": json.loads(text)} for name, text in CALLS]}
)
NATIVE = ("openai", "openai-responses", "gemini", "anthropic")
TURNS = {"gemini": "contents", "responses": "input"}
"""Where turns stand, but for `messages`."""


def in_its_form(received: Received) -> Say:
    """Both calls, then an end, as whoever asks has offered it."""
    is_first = "shown 1" not in received.prompt and "shown 2" not in received.prompt
    if "tools" in received.body:
        calls = CALLS if is_first else (("finish", "{}"),)
        return Say("I look." if is_first else "", ("Hm.",), calls=calls, cached_tokens=3)
    return Say(IN_WORDS if is_first else '{"thought": "", "calls": [{"tool": "finish", "arguments": {}}]}')


def following(step: ModelStep) -> ModelRequest:
    """The request after a step, with a result for each of its calls."""
    results = (ToolResult(call.name, f"shown {at}", call.call_id) for at, call in enumerate(step.calls, 1))
    shown: tuple[ContentBlock, ...] = (TextBlock("Step 1 of 9 is done."), *results)
    turns = (ModelMessage("model", "", step.blocks), ModelMessage("user", "", shown))
    return replace(REQUEST, messages=(*REQUEST.messages, *turns))


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_a_conversation_with_calls(kind: str) -> None:
    with ModelServer(in_its_form) as server:
        async with http_client(kind, server) as client:
            first = await client.complete(REQUEST)
            step = await read_step(first, 1)
            assert [(call.name, call.parsed) for call in step.calls] == [
                ("read", {"path": "a\nb"}),
                ("read", {"path": "ü"}),
            ]
            assert step.text == "I look."
            second = await read_step(await client.complete(following(step)), 2)
    assert [(call.name, call.parsed) for call in second.calls] == [("finish", {})]
    assert len(server.requests) == 2, "a strict service took both as they were"
    is_native = kind in NATIVE
    assert [("tools" in request.body) for request in server.requests] == [is_native] * 2
    assert first.cached_input_tokens == (3 if is_native else 0)
    begins_alike(*server.requests)


def begins_alike(one: Received, other: Received) -> None:
    """What a service caches is the same to the byte: all of the request before, but for its end."""
    turns = TURNS.get(one.api, "messages")
    first, second = ({**request.body, turns: None} for request in (one, other))
    assert first == second
    assert _unmarked(other.body[turns]).startswith(_unmarked(one.body[turns])[:-1])


def _unmarked(turns: object) -> str:
    """Turns without the mark of what is to be cached, which is moved to the end."""
    return json.dumps(turns).replace(', "cache_control": {"type": "ephemeral"}', "")


async def test_thoughts_go_back_to_the_model_that_had_them_alone() -> None:
    """The server refuses calls of Gemini without their signature."""
    with ModelServer(in_its_form) as server:
        steps = {}
        for kind in NATIVE:
            async with http_client(kind, server) as client:
                steps[kind] = await read_step(await client.complete(REQUEST), 1)
        async with http_client("openai", server) as client:
            await client.complete(following(steps["openai"]))
            await client.complete(following(steps["gemini"]))
    own, foreign = (request.body["messages"][2] for request in server.requests[-2:])
    assert own["reasoning_content"] == "Hm."
    assert "reasoning_content" not in foreign
    assert "thought" not in json.dumps(foreign)


@pytest.mark.parametrize("kind", NATIVE)
async def test_a_call_that_was_no_json_and_one_of_no_tool_are_sent_back_readable(kind: str) -> None:
    signed = '{"gemini:the-model":{"thought_signature":"c2lnbmVkIQ=="}}'
    broken = ToolCall("no/such tool", '{"path": "a', "c1", kept=signed)
    with ModelServer(in_its_form) as server:
        async with http_client(kind, server) as client:
            await client.complete(following(ModelStep((broken,))))
    sent = json.dumps(server.requests[0].body)
    assert "no_such_tool" in sent
    assert "unreadable" in sent


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_half_an_answer_is_no_failure_in_a_conversation_with_tools(kind: str) -> None:
    with ModelServer([Say("I wri", finish="length"), Say("", finish="stop")]) as server:
        async with http_client(kind, server) as client:
            cut = await client.complete(REQUEST)
            empty = await client.complete(replace(REQUEST, purpose="other"))
    assert cut.end == "length"
    assert [block.text for block in cut.contents if isinstance(block, TextBlock)] == ["I wri"]
    assert not [block for block in empty.contents if not isinstance(block, ThinkingBlock)]


async def test_a_call_that_gemini_could_not_read() -> None:
    with ModelServer([Say("", finish="malformed")]) as server:
        async with http_client("gemini", server) as client:
            assert (await client.complete(REQUEST)).end == "malformed"


@pytest.mark.parametrize(
    ("refuses", "says", "asked"),
    [
        (lambda body: "tools" in body, "the-model does not support tools", ["auto", None, None, None]),
        (
            lambda body: body.get("tool_choice") == "auto",
            '"auto" tool choice requires --enable-auto-tool-choice',
            ["auto", "required", "required", "required"],
        ),
        (
            lambda body: "reasoning_content" in str(body),
            "reasoning_content is not allowed in messages",
            ["auto", "auto", "auto", "auto"],
        ),
    ],
)
async def test_what_a_server_refuses_is_learned(
    refuses: Callable[[Any], bool], says: str, asked: list[str | None], tmp_path: Path
) -> None:
    def answer(received: Received) -> Step:
        return Status(400, says) if refuses(received.body) else in_its_form(received)

    with ModelServer(answer) as server:
        async with http_client("openai", server, memory=tmp_path) as client:
            step = await read_step(await client.complete(REQUEST), 1)
        async with http_client("openai", server, memory=tmp_path) as client:
            await client.complete(following(step))
            await client.complete(replace(following(step), purpose="next"))
    assert [request.body.get("tool_choice") for request in server.requests] == asked, "refused once"
    assert not refuses(server.requests[-1].body)


def without_tools(says: Status, received: Received) -> Step:
    return says if "tools" in received.body else in_its_form(received)


async def test_a_server_that_breaks_twice_at_tools_is_asked_in_words() -> None:
    def answer(received: Received) -> Step:
        return (
            Status(500, "tools param requires --jinja") if "tools" in received.body else in_its_form(received)
        )

    with ModelServer(answer) as server:
        async with http_client("openai", server) as client:
            with suppress(ModelUnavailable):
                await client.complete(REQUEST)
            assert len((await read_step(await client.complete(REQUEST), 1)).calls) == 2


async def test_the_setting_says_which() -> None:
    def as_set(tools: Literal["native", "text"]) -> Told:
        return told(None, None, None, None, tools)

    with ModelServer(partial(without_tools, Status(400, "no tools"))) as server:
        async with http_client("openai", server, told=as_set("native")) as client:
            with pytest.raises(ModelRejected, match="no tools"):
                await client.complete(REQUEST)
        async with http_client("openai", server, told=as_set("text")) as client:
            await client.complete(REQUEST)
    assert ["tools" in request.body for request in server.requests] == [True, False]


async def test_a_person_writes_calls_in_words(tmp_path: Path) -> None:
    async with rig("manual", tmp_path, [REQUEST], lambda _: IN_WORDS) as client:
        assert len((await read_step(await client.complete(REQUEST), 1)).calls) == 2
    [prompt] = list_files(tmp_path, "*.prompt.md")
    assert "Each answer is one JSON document" in prompt.read_text()
    assert "Read a file." in prompt.read_text()


async def test_a_recording_of_calls_answers_whichever_model_asks(tmp_path: Path) -> None:
    thought = ThinkingBlock("Hm.", '{"openai:m":{"reasoning":"Hm."}}')
    response = ModelResponse(
        "", "m", 11, 7, cached_input_tokens=3, blocks=(thought, ToolCall("read", "{", "c1")), end="length"
    )
    write_recording(tmp_path, "calls", [(REQUEST, response)])
    client = build_model(ModelSettings(spec=f"replay:{tmp_path}"))
    assert await client.complete(REQUEST) == response
