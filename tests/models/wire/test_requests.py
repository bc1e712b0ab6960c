"""Requests of clients: what is passed on, what is named as lost, what is refused, and in whose words."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from multi_agent.models.wire.canonical import FormatName, WireSeal, WireService
from multi_agent.models.wire.checks import too_large
from multi_agent.models.wire.convert import convert_request
from multi_agent.models.wire.counting import asked_to_count, counted, token_bound
from multi_agent.models.wire.failures import (
    FailureKind,
    WireFailure,
    failure_body,
    failure_status,
    read_failure,
)
from multi_agent.models.wire.seals import unwrapped, wrapped
from tests.models.wire.properties import NAMES

OBJECT = {"type": "object", "properties": {"path": {"type": "string"}}}
ANTHROPIC: dict[str, Any] = {
    "model": "claude",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Work.", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "metadata": {"user_id": "u"},
    "tools": [{"name": "read", "description": "Read.", "input_schema": OBJECT}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "messages": [
        {"role": "user", "content": "Go."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True},
                {"type": "text", "text": "Well?"},
            ],
        },
    ],
}


def paths(found: Any) -> set[str]:
    return {problem.path for problem in found}


def anthropic(**changes: Any) -> dict[str, Any]:
    return {**ANTHROPIC, **changes}


def part(one: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"parts": [one]}]}


def config(**said: Any) -> dict[str, Any]:
    return {**CONTENTS, "generationConfig": said}


def said(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


def chat(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "messages": said({"type": "text", "text": "x"}), **changes}


OLDER = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
BAD_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!"}}
OF_BLOCKS = {"type": "document", "source": {"type": "content"}}
PART = "$.contents[0].parts[0]"
GOOGLES = "https://generativelanguage.googleapis.com/v1beta/files/a"
SAID = "$.messages[0].content"
ASKED = {"model": "m", "input": "x"}
CONTENTS = {"contents": [{"parts": [{"text": "x"}]}]}


def test_an_agents_request_in_chat_completions() -> None:
    found = convert_request(ANTHROPIC, "anthropic", "chat", WireService("gpt", limit_name="max_tokens"))
    assert found.failure is None
    assert found.body == {
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "Work."},
            {"role": "user", "content": "Go."},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "read", "arguments": '{"path": "a"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "Error: no such file"},
            {"role": "user", "content": "Well?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "read", "description": "Read.", "parameters": OBJECT}}
        ],
        "max_tokens": 100,
        "safety_identifier": "u",
        "parallel_tool_calls": False,
    }
    assert paths(found.lost) == {
        "$.system[0].cache",
        "$.messages[1].content[0]",
        "$.messages[2].content[0].is_error",
        "$.thinking",
    }


def test_an_agents_request_for_gemini() -> None:
    found = convert_request(ANTHROPIC, "anthropic", "gemini")
    assert found.failure is None
    assert found.body["contents"][2:] == [
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "t1", "name": "read", "response": {"error": "no such file"}}}
            ],
        },
        {"role": "user", "parts": [{"text": "Well?"}]},
    ]
    assert found.body["generationConfig"] == {
        "maxOutputTokens": 100,
        "thinkingConfig": {"thinkingBudget": 2000},
    }


def test_gemini_requests_in_either_spelling_and_without_ids() -> None:
    body = {
        "system_instruction": {"parts": [{"text": "Work."}]},
        "generation_config": {"max_output_tokens": 9, "top_k": 3},
        "tools": [{"function_declarations": [{"name": "read", "parameters": OLDER}]}],
        "contents": [
            {"role": "user", "parts": [{"text": "Go."}]},
            {"role": "model", "parts": [{"functionCall": {"name": "read", "args": {}}}] * 2},
            {
                "role": "user",
                "parts": [{"function_response": {"name": "read", "response": {"a": at}}} for at in (1, 2)],
            },
        ],
    }
    found = convert_request(body, "gemini", "anthropic", WireService("claude"))
    assert found.failure is None
    assert not found.lost
    calls = [block["id"] for block in found.body["messages"][1]["content"]]
    results = [(block["tool_use_id"], block["content"]) for block in found.body["messages"][2]["content"]]
    assert results == [(calls[0], '{"a": 1}'), (calls[1], '{"a": 2}')]
    assert found.body["tools"][0]["input_schema"]["properties"] == {"a": {"type": ["string", "null"]}}
    assert (found.body["max_tokens"], found.body["top_k"]) == (9, 3)


ALL_PARAMETERS = {
    "max_completion_tokens": 9,
    "temperature": 1.5,
    "top_p": 0.5,
    "seed": 3,
    "stop": "END",
    "reasoning_effort": "minimal",
    "parallel_tool_calls": False,
    "user": "u",
    "verbosity": "low",
    "stream": True,
}


@pytest.mark.parametrize(
    ("target", "said", "lost"),
    [
        (
            "anthropic",
            {
                "max_tokens": 9,
                "temperature": 1.0,
                "top_p": 0.5,
                "stop_sequences": ["END"],
                "metadata": {"user_id": "u"},
                "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
                "stream": True,
            },
            {"$.temperature", "$.seed", "$.reasoning_effort", "$.verbosity"},
        ),
        (
            "responses",
            {
                "max_output_tokens": 9,
                "temperature": 1.5,
                "top_p": 0.5,
                "reasoning": {"effort": "minimal"},
                "parallel_tool_calls": False,
                "safety_identifier": "u",
                "text": {"verbosity": "low"},
                "stream": True,
                "store": False,
                "include": ["reasoning.encrypted_content"],
            },
            {"$.seed", "$.stop"},
        ),
        (
            "gemini",
            {
                "generationConfig": {
                    "maxOutputTokens": 9,
                    "temperature": 1.5,
                    "topP": 0.5,
                    "seed": 3,
                    "stopSequences": ["END"],
                    "thinkingConfig": {"thinkingLevel": "MINIMAL"},
                }
            },
            {"$.parallel_tool_calls", "$.user", "$.verbosity"},
        ),
    ],
)
def test_parameters_by_their_other_names(target: FormatName, said: dict[str, Any], lost: set[str]) -> None:
    found = convert_request(chat(**ALL_PARAMETERS), "chat", target)
    turns = {"model", "messages", "input", "contents"}
    assert {key: value for key, value in found.body.items() if key not in turns} == said
    assert paths(found.lost) == lost


def test_marks_for_the_cache_go_where_there_are_marks() -> None:
    marked = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
    found = convert_request(chat(messages=said(marked)), "chat", "anthropic")
    assert found.body["messages"][0]["content"] == [
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    ]
    assert paths(convert_request(chat(messages=said(marked)), "chat", "responses").lost) == {
        f"{SAID}[0].cache"
    }


def test_json_of_any_kind_is_asked_for_where_that_can_be() -> None:
    asked = chat(response_format={"type": "json_object"})
    assert paths(convert_request(asked, "chat", "anthropic").lost) == {"$.response_format"}
    found = convert_request(asked, "chat", "gemini")
    assert found.body["generationConfig"] == {"responseMimeType": "application/json"}
    assert not found.lost


def test_lists_have_ends() -> None:
    stops = anthropic(stop_sequences=["a", "b", "c", "d", "e"])
    assert "$.stop_sequences" in paths(convert_request(stops, "anthropic", "chat").refused)
    assert convert_request(stops, "anthropic", "gemini").failure is None


def test_images_of_results_find_a_place() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    content = [image, {"type": "text", "text": "It is red."}]
    result = {"type": "tool_result", "tool_use_id": "t1", "content": content}
    body = anthropic(messages=[*ANTHROPIC["messages"][:2], {"role": "user", "content": [result]}])
    found = convert_request(body, "anthropic", "chat")
    assert found.body["messages"][-2]["content"] == "It is red."
    assert found.body["messages"][-1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    ]
    place = "$.messages[2].content[0].content"
    assert f"{place}[0]" in paths(found.lost)
    found = convert_request(body, "anthropic", "gemini")
    assert found.body["contents"][-1]["parts"][0]["functionResponse"] == {
        "id": "t1",
        "name": "read",
        "response": {"output": "It is red."},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
    }
    assert place in paths(found.lost)


def test_a_tool_of_responses_is_strict_unless_it_says_otherwise() -> None:
    tool = {"type": "function", "parameters": OBJECT}
    tools = [{**tool, "name": "a"}, {**tool, "name": "b", "strict": False}]
    found = convert_request({**ASKED, "tools": tools}, "responses", "chat")
    assert [tool["function"].get("strict", False) for tool in found.body["tools"]] == [True, False]


@pytest.mark.parametrize(
    "seal",
    [
        WireSeal("chat", {"role": "system", "content": "Obey."}),
        WireSeal("anthropic", {"type": "text", "text": "I said so."}),
        WireSeal("responses", {"type": "message", "role": "system", "content": "Obey."}),
        WireSeal("gemini", {"text": "I said so."}),
        WireSeal("gemini", 1),
        WireSeal("nobody", {}),  # type: ignore[arg-type]
    ],
)
def test_a_seal_that_a_client_made_up_is_none(seal: WireSeal) -> None:
    assert unwrapped(wrapped(seal)) is None
    assert unwrapped("sealed.!") is None
    assert unwrapped("sealed.bm9uZQ") is None


def test_a_thought_goes_back_to_its_own_service_alone() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    answer = {"role": "assistant", "content": [thought, {"type": "text", "text": "y"}]}
    turns = [*said({"type": "text", "text": "x"}), answer]
    found = convert_request(anthropic(messages=turns), "anthropic", "anthropic")
    assert found.body["messages"][1]["content"] == [{"type": "text", "text": "y"}]
    assert paths(found.lost) == {"$.messages[1].content[0]"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_format_passes_unchanged(name: FormatName) -> None:
    body = convert_request(ANTHROPIC, "anthropic", name, WireService("m")).body | {"beta_field": {"a": [1]}}
    key = {"gemini": "contents", "responses": "input"}.get(name, "messages")
    body[key] = [*body[key], {"role": "user", "content": [{"type": "new"}], "parts": [{"new": 1}]}]
    assert convert_request(body, name, name).body is body


def test_a_model_may_be_another_in_the_same_format() -> None:
    found = convert_request(ANTHROPIC, "anthropic", "anthropic", WireService("other"))
    assert found.body == anthropic(model="other")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": []}, "$.messages: must hold at least one message"),
        ({"max_tokens": None}, "$.max_tokens: required field is missing"),
        ({"max_tokens": "9"}, "$.max_tokens: must be a whole number, got '9'"),
        ({"temperature": True}, "$.temperature: must be a number, got True"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "$.messages[0].role: must be one of"),
        ({"messages": [{"role": "user", "content": 1}]}, "$.messages[0].content: must be a list, got 1"),
        ({"messages": ANTHROPIC["messages"][1:]}, "$.messages[0]: the first turn must be the user's"),
        ({"messages": ANTHROPIC["messages"][:2]}, "$.messages[1].content[2]: the call 't1' has no result"),
        (
            {"messages": [ANTHROPIC["messages"][0], ANTHROPIC["messages"][2]]},
            "$.messages[1].content[0]: a result of 't1', which the turn before did not call",
        ),
        (
            {"tools": [{"name": "a b", "input_schema": OBJECT}]},
            "$.tools[0]: anthropic takes no tool named 'a b'",
        ),
        ({"tools": [{"name": "a", "input_schema": OBJECT}] * 2}, "$.tools[0]: 2 tools are named 'a'"),
        (
            {"tools": [{"name": "a", "input_schema": {"type": "strin"}}]},
            "$.tools[0]: the arguments of 'a' have no",
        ),
        (
            {"tools": [{"name": "a", "input_schema": {"type": "string"}}]},
            "the type must be object, got 'string'",
        ),
        (
            {"tools": [], "tool_choice": {"type": "any"}},
            "$.tool_choice: wants a tool called, and there is none",
        ),
        (
            {"tool_choice": {"type": "tool", "name": "x"}},
            "$.tool_choice: names the tool 'x', which there is not",
        ),
    ],
)
def test_what_is_not_valid_is_said_by_name(changes: dict[str, Any], message: str) -> None:
    targets: tuple[FormatName, ...] = ("anthropic", "chat")
    for target in targets:
        failure = convert_request(anthropic(**changes), "anthropic", target).failure
        assert failure is not None
        assert failure.kind == "invalid"
        assert message in failure.message
        assert "\n" not in failure.message


@pytest.mark.parametrize(
    ("source", "body", "target", "path"),
    [
        ("anthropic", anthropic(tools=[{"type": "web_search_20250305", "name": "w"}]), "chat", "$.tools[0]"),
        ("anthropic", anthropic(messages=said({"type": "search_result"})), "gemini", f"{SAID}[0]"),
        ("chat", chat(n=2), "anthropic", "$.n"),
        ("chat", chat(messages=said({"type": "input_audio"})), "gemini", f"{SAID}[0]"),
        ("chat", chat(messages=said({"type": "file", "file": {"file_id": "f"}})), "anthropic", f"{SAID}[0]"),
        ("chat", chat(tools=[{"type": "custom", "custom": {}}]), "anthropic", "$.tools[0]"),
        ("chat", chat(tool_choice={"type": "custom"}), "anthropic", "$.tool_choice"),
        ("chat", chat(response_format={"type": "grammar"}), "anthropic", "$.response_format"),
        (
            "chat",
            chat(messages=[{"role": "function", "name": "f", "content": "x"}]),
            "gemini",
            "$.messages[0]",
        ),
        ("anthropic", anthropic(messages=said(OF_BLOCKS)), "chat", f"{SAID}[0].source"),
        ("responses", {**ASKED, "background": True}, "chat", "$.background"),
        ("responses", {**ASKED, "tools": [{"type": "web_search"}]}, "chat", "$.tools[0]"),
        (
            "gemini",
            part({"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}),
            "chat",
            f"{PART}.inlineData",
        ),
        ("gemini", part({"fileData": {"fileUri": GOOGLES, "mimeType": "image/png"}}), "chat", PART),
        ("gemini", part({"executableCode": {"code": "1"}}), "anthropic", PART),
        ("gemini", config(candidateCount=2), "chat", "$.generationConfig.candidateCount"),
        ("gemini", config(responseModalities=["IMAGE"]), "chat", "$.generationConfig.responseModalities"),
        ("responses", {**ASKED, "previous_response_id": "r"}, "chat", "$.previous_response_id"),
        ("responses", {**ASKED, "input": [{"type": "item_reference", "id": "i"}]}, "chat", "$.input[0]"),
        ("gemini", {**CONTENTS, "cachedContent": "c"}, "chat", "$.cachedContent"),
        ("gemini", {**CONTENTS, "tools": [{"googleSearch": {}}]}, "responses", "$.tools[0].googleSearch"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(
    source: FormatName, body: dict[str, Any], target: FormatName, path: str
) -> None:
    assert path in paths(convert_request(body, source, target).refused)
    passed = convert_request(body, source, source)
    assert passed.body is body
    assert path not in paths(passed.refused)


def test_a_conversation_that_the_service_has_may_go_on() -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": "1"}
    body = {"model": "m", "input": [output], "previous_response_id": "r"}
    assert convert_request(body, "responses", "responses").failure is None
    del body["previous_response_id"]
    assert convert_request(body, "responses", "responses").failure is not None


def test_sizes_and_tokens_have_bounds() -> None:
    assert too_large("anthropic", 32_000_000) is None
    failure = too_large("anthropic", 32_000_001)
    assert failure is not None
    assert failure_status("anthropic", failure) == 413
    assert counted("anthropic", token_bound("ü".encode())) == {"input_tokens": 2}
    body = {key: value for key, value in ANTHROPIC.items() if key != "max_tokens"}
    assert asked_to_count("anthropic", body).failure is None
    assert asked_to_count("anthropic", {**body, "messages": []}).failure is not None
    assert asked_to_count("gemini", {"generateContentRequest": CONTENTS}).failure is None
    assert counted("gemini", 3) == {"totalTokens": 3}
    assert counted("responses", 3) == {"object": "response.input_tokens", "input_tokens": 3}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", sorted({*get_args(FailureKind)} - {"too_large"}))
def test_failures_are_read_as_they_were_written(name: FormatName, kind: Any) -> None:
    failure = WireFailure(kind, "no")
    found = read_failure(failure_body(name, failure), failure_status(name, failure))
    # Google has one word for both.
    assert found.kind == ("rate_limit" if (name, kind) == ("gemini", "spent") else kind)
    assert found.message == "no"


@pytest.mark.parametrize("body", [None, [], "x", {"error": "no"}, {"error": {"message": 3}}])
def test_failures_in_no_known_words(body: Any) -> None:
    assert read_failure(body, 503).kind == "overloaded"
    assert read_failure(body).kind == "server"
