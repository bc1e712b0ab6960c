"""Streams as services send them: in parts, interleaved, broken off, with errors in the middle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireCall, WireText, WireThought, WireUsage
from multi_agent.models.wire.convert import ConvertedStream
from tests.models.wire.properties import CALLER, NAMES


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call_part(index: int, text: str, **first: Any) -> dict[str, Any]:
    function = {"arguments": text} | ({"name": first.pop("name")} if first else {})
    return {"index": index, "function": function, **first}


INTERLEAVED = [
    chunk({"role": "assistant", "reasoning_content": "Hm"}),
    chunk({"reasoning_content": "m."}),
    chunk({"content": "I look."}),
    chunk({"tool_calls": [call_part(0, '{"a":', id="c0", name="read")]}),
    chunk({"tool_calls": [call_part(1, '{"b":', id="c1", name="write")]}),
    chunk({"tool_calls": [call_part(0, "1}"), call_part(1, "2}")]}),
    chunk({}, "tool_calls"),
    {"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}},
]
USED = {"input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 1}
STRANGE = {"type": "content_block_start", "index": 1, "content_block": {"type": "server_tool_use", "x": 1}}
ANTHROPIC: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m1", "model": "m", "usage": USED}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
]
BEGINNINGS: dict[FormatName, list[dict[str, Any]]] = {
    "anthropic": ANTHROPIC,
    "chat": [chunk({"content": "Hi"})],
    "responses": [
        {"type": "response.created", "response": {"id": "r", "model": "m"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "i"}},
        {
            "type": "response.content_part.added",
            "output_index": 0,
            "part": {"type": "output_text", "text": ""},
        },
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"},
    ],
    "gemini": [{"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}}]}],
}
ERRORS: dict[FormatName, dict[str, Any]] = {
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    "chat": {"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}},
    "responses": {"type": "error", "code": "server_is_overloaded", "message": "busy"},
    "gemini": {"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}},
}


def test_interleaved_calls_are_passed_on_one_after_the_other() -> None:
    stream = ConvertedStream("chat", "anthropic", CALLER)
    events = [stream.feed(event) for event in INTERLEAVED]
    # The first call's arguments go on at once, the second's when the first are whole.
    assert [one["delta"]["partial_json"] for one in events[3] if "delta" in one] == ['{"a":']
    assert events[4] == []
    said = [one for part in events[5:] for one in part] + stream.end()
    assert [
        one.get("delta", {}).get("partial_json") for one in said if one["type"] == "content_block_delta"
    ] == [
        "1}",
        '{"b":',
        "2}",
    ]
    assert said[-2]["delta"]["stop_reason"] == "tool_use"
    thought, text, *calls = stream.response.blocks
    assert isinstance(thought, WireThought)
    assert (thought.text, text) == ("Hmm.", WireText("I look."))
    assert calls == [WireCall("c0", "read", '{"a":1}'), WireCall("c1", "write", '{"b":2}')]
    assert stream.response.usage == WireUsage(5, 7)


def test_usage_of_both_ends_of_a_stream_is_one() -> None:
    stream = ConvertedStream("anthropic", "chat", CALLER)
    for event in ANTHROPIC:
        stream.feed(event)
    stream.feed({"type": "content_block_stop", "index": 0})
    stream.feed(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    )
    *_, last = stream.feed({"type": "message_stop"})
    assert last["usage"]["prompt_tokens"] == 5
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert stream.response.usage == WireUsage(given=5, made=9, cached=3)


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize("service", NAMES)
def test_an_error_in_the_middle_ends_the_stream_in_the_clients_words(
    service: FormatName, client: FormatName
) -> None:
    stream = ConvertedStream(service, client, CALLER)
    for event in BEGINNINGS[service]:
        stream.feed(event)
    (said,) = stream.feed(ERRORS[service])
    assert stream.failure is not None
    assert (stream.failure.kind, stream.failure.message) == ("overloaded", "busy")
    assert "busy" in json.dumps(said)
    assert stream.end() == []
    assert stream.response.blocks == (WireText("Hi"),)


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize("service", NAMES)
def test_half_a_stream_is_said_to_be_half(service: FormatName, client: FormatName) -> None:
    stream = ConvertedStream(service, client, CALLER)
    for event in BEGINNINGS[service]:
        stream.feed(event)
    (said,) = stream.end()
    assert "the service's stream broke off" in json.dumps(said)
    assert stream.failure is not None


def test_the_same_format_passes_unchanged_and_is_counted() -> None:
    stream = ConvertedStream("anthropic", "anthropic", CALLER)
    for event in [*ANTHROPIC, STRANGE, {"type": "new_event", "y": 2}]:
        assert stream.feed(event) == [event]
    assert stream.response.usage == WireUsage(given=5, made=1, cached=3)


def test_what_no_format_knows_is_named() -> None:
    stream = ConvertedStream("anthropic", "chat", CALLER)
    for event in [*ANTHROPIC, {"type": "new_event"}, STRANGE]:
        stream.feed(event)
    told = " ".join(str(problem) for problem in stream.lost)
    assert "new_event" in told
    assert "server_tool_use" in told


def test_a_field_that_nobody_knows_is_named_once() -> None:
    stream = ConvertedStream("chat", "anthropic", CALLER)
    for _ in range(3):
        stream.feed({**chunk({"content": "Hi", "strange": 1}), "odd": 2})
    assert [problem.path for problem in stream.lost] == ["$.odd", "$.choices[0].delta.strange"]


def test_a_thought_between_calls_begins_none_of_them_again() -> None:
    stream = ConvertedStream("chat", "anthropic", CALLER)
    stream.feed(chunk({"tool_calls": [call_part(0, "{}", id="c0", name="read")]}))
    stream.feed(chunk({"reasoning_content": "Hm."}))
    stream.feed(chunk({"tool_calls": [call_part(1, "{}", id="c1", name="write")]}, "tool_calls"))
    stream.end()
    kinds = [getattr(block, "call_id", "thought") for block in stream.response.blocks]
    assert kinds == ["c0", "thought", "c1"]


def test_what_a_service_streams_in_no_order_is_put_in_order() -> None:
    sent: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 4, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "late"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    ]
    stream = ConvertedStream("anthropic", "responses", CALLER)
    told = [one for event in sent for one in stream.feed(event)] + stream.end()
    assert (told[0]["type"], told[-1]["type"]) == ("response.created", "response.completed")
    assert stream.response.blocks == (WireText("late"), WireText("Hi"))
    assert stream.lost == ()


def test_what_is_said_at_the_end_alone_is_not_missed() -> None:
    stream = ConvertedStream("responses", "chat", CALLER)
    call = {"type": "function_call", "call_id": "c", "name": "read"}
    stream.feed({"type": "response.output_item.added", "output_index": 0, "item": {**call, "arguments": ""}})
    stream.feed({"type": "response.output_item.done", "output_index": 0, "item": {**call, "arguments": "{}"}})
    assert stream.response.blocks == (WireCall("c", "read", "{}"),)


def test_pings_are_pings_where_there_are_some() -> None:
    for client, said in (("anthropic", [{"type": "ping"}]), ("chat", []), ("gemini", [])):
        stream = ConvertedStream("responses", client, CALLER)  # type: ignore[arg-type]
        assert stream.feed({"type": "response.in_progress"}) == said


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_events_are_found_in_bytes_of_any_size(size: int) -> None:
    events = [{"type": "a", "text": "ü\n\n"}, {"type": "b"}]
    sent = (
        b": hello\r\n\r\n" + b"".join(sse.encoded("anthropic", event) for event in events) + sse.ended("chat")
    )
    decoder = sse.EventDecoder()
    found = [one for at in range(0, len(sent), size) for one in decoder.feed(sent[at : at + size])]
    assert found + decoder.end() == events
    assert sse.EventDecoder().feed(b'data: {"a": 1}\r\n\r\n') == [{"a": 1}]
    assert sse.EventDecoder().feed(b"data: {\ndata: }\n\n") == [{}]
    with pytest.raises(ValueError, match="no JSON object"):
        sse.EventDecoder().feed(b"data: 1\n\n")
