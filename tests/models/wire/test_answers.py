"""Answers in each service's own words, and what a client of another format is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from multi_agent.models.wire.canonical import (
    FormatName,
    WireCall,
    WireResponse,
    WireSeal,
    WireText,
    WireThought,
    WireUsage,
)
from multi_agent.models.wire.convert import convert_response
from tests.models.wire.properties import CALLER, NAMES

ANSWERS: dict[FormatName, dict[str, Any]] = json.loads(Path(__file__).with_name("answers.json").read_text())
"""Each says "I look." after a thought, and calls a tool."""
USAGE = WireUsage(given=100, made=30, cached=60, written=10, thought=20)
SEALS: dict[FormatName, WireSeal | None] = {
    "anthropic": WireSeal("anthropic", ANSWERS["anthropic"]["content"][0]),
    "chat": WireSeal("chat", {"reasoning_content": "Hm."}),
    "responses": WireSeal("responses", ANSWERS["responses"]["output"][0]),
    "gemini": None,
}


def choice(message: dict[str, Any], finish: str) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish}]}


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize("service", NAMES)
def test_a_services_own_words(service: FormatName, client: FormatName) -> None:
    found = convert_response(ANSWERS[service], service, client, CALLER)
    seal = WireSeal("gemini", {"thoughtSignature": "c2ln"}) if service == "gemini" else None
    # Google does not count what it writes to its cache.
    usage = WireUsage(100, 30, 60, 0, 20) if service == "gemini" else USAGE
    assert found.response == WireResponse(
        "a",
        "m",
        (WireThought("Hm.", SEALS[service]), WireText("I look."), WireCall("c", "read", '{"a": 1}', seal)),
        "calls",
        "",
        usage,
    )
    assert found.failure is None
    lost = {"$.usage.written"} if client == "gemini" and service != "gemini" else set()
    assert {problem.path for problem in found.lost} == (lost if client != service else set())


@pytest.mark.parametrize(
    ("service", "body", "kind"),
    [
        ("chat", {"choices": []}, "server"),
        ("chat", {"choices": None}, "server"),
        ("chat", {"error": {"message": "no", "code": "rate_limit_exceeded"}}, "rate_limit"),
        ("anthropic", {"error": {"type": "overloaded_error", "message": "no"}}, "overloaded"),
        ("responses", {"status": "failed", "error": {"code": "server_error", "message": "no"}}, "server"),
        ("gemini", {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no"}}, "rate_limit"),
    ],
)
def test_no_answer_with_status_200_is_a_failure(service: FormatName, body: dict[str, Any], kind: str) -> None:
    failure = convert_response(body, service, "anthropic", CALLER).failure
    assert failure is not None
    assert failure.kind == kind


@pytest.mark.parametrize(
    ("service", "body", "stop"),
    [
        ("chat", choice({"content": None, "refusal": "No."}, "stop"), "refusal"),
        ("chat", choice({"content": "Hi"}, "content_filter"), "refusal"),
        ("responses", {"incomplete_details": {"reason": "max_output_tokens"}, "output": []}, "max_tokens"),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}, "refusal"),
        ("gemini", {"candidates": [{"finishReason": "RECITATION"}]}, "refusal"),
        ("gemini", {"candidates": [{"finishReason": "MAX_TOKENS"}]}, "max_tokens"),
        ("gemini", {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}, "end_turn"),
    ],
)
def test_ends_in_anthropics_words(service: FormatName, body: dict[str, Any], stop: str) -> None:
    assert convert_response(body, service, "anthropic", CALLER).body["stop_reason"] == stop


def test_refusals_and_cut_answers_are_incomplete_responses() -> None:
    for finish, reason in (("length", "max_output_tokens"), ("content_filter", "content_filter")):
        body = convert_response(choice({"content": "Hi"}, finish), "chat", "responses", CALLER).body
        assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": reason})


def test_calls_without_ids_get_some() -> None:
    call = {"function": {"name": "read", "arguments": {"a": 1}}}
    body = {
        "choices": [{"message": {"content": "", "tool_calls": [call, call]}, "finish_reason": "tool_calls"}]
    }
    content = convert_response(body, "chat", "anthropic", CALLER).body["content"]
    assert [block["id"] for block in content] == ["call_req_1_0", "call_req_1_1"]
    assert content[0]["input"] == {"a": 1}


def test_what_a_client_cannot_be_told_is_named() -> None:
    body = ANSWERS["responses"] | {
        "output": [{"type": "web_search_call", "id": "w"}, *ANSWERS["responses"]["output"]]
    }
    lost = convert_response(body, "responses", "chat", CALLER).lost
    assert [problem.path for problem in lost] == ["$.output[0]"]
