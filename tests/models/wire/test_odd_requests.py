"""Requests that a service may well take, though the gateway does not know all that is in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from multi_agent.models.wire.canonical import FormatName
from multi_agent.models.wire.convert import ConvertedStream, convert_request, convert_response
from tests.models.wire.properties import CALLER

SAID = [{"role": "user", "content": "Hi"}]
MESSAGES = {"model": "m", "max_tokens": 9, "messages": SAID}
CHAT = {"model": "m", "messages": SAID}
SEARCH = {"type": "web_search_20250305", "name": "search"}
CONTENTS = {"contents": [{"parts": [{"text": "Hi"}]}]}


def call(number: int) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": "{}"}


def result(number: int) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"c{number}", "output": "done"}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("anthropic", {**MESSAGES, "output_config": {"effort": "newest"}}),
        ("anthropic", {**MESSAGES, "tool_choice": {"type": "newest"}}),
        ("anthropic", {**MESSAGES, "tools": [SEARCH], "tool_choice": {"type": "tool", "name": "search"}}),
        ("anthropic", {**MESSAGES, "tools": [SEARCH], "tool_choice": {"type": "any"}}),
        ("responses", {"model": "m", "input": [{"type": "item_reference", "id": "i"}, result(1)]}),
        ("chat", {**CHAT, "tool_choice": "newest"}),
        ("gemini", {**CONTENTS, "toolConfig": {"functionCallingConfig": {"mode": "NEWEST"}}}),
        ("gemini", {**CONTENTS, "generationConfig": {"thinkingConfig": {"thinkingLevel": "NEWEST"}}}),
        (
            "responses",
            {"model": "m", "input": [call(1), {"type": "web_search_call"}, call(2), result(1), result(2)]},
        ),
    ],
)
def test_words_that_are_newer_than_the_gateway_pass(name: FormatName, body: dict[str, Any]) -> None:
    same = convert_request(body, name, name)
    assert (same.failure, same.body) == (None, body)
    other = convert_request(body, name, "chat" if name != "chat" else "anthropic").failure
    assert other is not None
    assert other.kind == "invalid"


@pytest.mark.parametrize("pattern", [r"^\p{L}+$", "(?<year>[0-9]{4})", "a{99999999999}", "(a{1000}){1000}"])
def test_patterns_of_tools_are_javascripts(pattern: str) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string", "pattern": pattern}}}
    body = {**MESSAGES, "tools": [{"name": "f", "input_schema": schema}]}
    assert convert_request(body, "anthropic", "chat").failure is None


def test_arguments_that_a_client_left_empty_are_an_object() -> None:
    asked = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    turns = [
        *SAID,
        {"role": "assistant", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
    ]
    found = convert_request({**CHAT, "messages": turns}, "chat", "responses").body["input"]
    assert [item["arguments"] for item in found if item["type"] == "function_call"] == ["{}"]


def test_an_answer_that_calls_and_says_that_it_just_stopped_has_called() -> None:
    called = {"function": {"name": "f", "arguments": {"a": 1}}}
    body = {"choices": [{"message": {"tool_calls": [called]}, "finish_reason": "stop"}]}
    found = convert_response(body, "chat", "anthropic", CALLER).body
    assert found["stop_reason"] == "tool_use"
    assert found["content"] == [{"type": "tool_use", "id": "call_req_1_0", "name": "f", "input": {"a": 1}}]


def test_tools_in_groups_are_tools_whose_names_begin_with_the_group() -> None:
    tool = {"type": "function", "name": "stop", "parameters": {"type": "object"}, "strict": False}
    group = {"type": "namespace", "name": "agents", "description": "Of agents.", "tools": [tool]}
    called = {**call(1), "name": "stop", "namespace": "agents"}
    asked = {"model": "m", "input": [called, result(1)], "tools": [tool, group]}
    found = convert_request(asked, "responses", "chat")
    assert found.failure is None
    assert [one["function"]["name"] for one in found.body["tools"]] == ["stop", "agents__stop"]
    assert found.body["messages"][0]["tool_calls"][0]["function"]["name"] == "agents__stop"
    assert [problem.path for problem in found.lost] == ["$.tools[1].description"]
    caller = replace(CALLER, groups=found.request.groups)
    message = {"tool_calls": [{"id": "c", "function": {"name": "agents__stop", "arguments": "{}"}}]}
    stream = ConvertedStream("chat", "responses", caller)
    told = stream.feed({"choices": [{"delta": message, "finish_reason": "tool_calls"}]}) + stream.end()
    whole = convert_response({"choices": [{"message": message}]}, "chat", "responses", caller).body
    for item in (told[2]["item"], told[-1]["response"]["output"][0], whole["output"][0]):
        assert (item["namespace"], item["name"]) == ("agents", "stop")
