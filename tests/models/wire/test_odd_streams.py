"""Streams of servers that keep to a format in part: what is meant is found, and nothing lost unsaid."""

from __future__ import annotations

from typing import Any

import pytest

from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireCall
from multi_agent.models.wire.convert import ConvertedStream
from tests.models.wire.properties import CALLER, NAMES
from tests.models.wire.test_streams import ANTHROPIC, chunk

F, G = WireCall("a", "f", '{"a":1}'), WireCall("b", "g", '{"b":2}')


@pytest.mark.parametrize(
    ("parts", "calls"),
    [
        # No numbers at all; every call numbered 0; names and ids said again with each part; gaps.
        ([{"id": "a", "f": ("f", '{"a":1}')}, {"id": "b", "f": ("g", '{"b":2}')}], (F, G)),
        ([{"f": ("f", '{"a":1}')}, {"f": ("g", '{"b":2}')}], (F, G)),
        (
            [
                {"index": 0, "id": "a", "f": ("f", '{"a":1}')},
                {"index": 0, "id": "b", "f": ("g", '{"b":')},
                {"index": 0, "f": ("", "2}")},
            ],
            (F, G),
        ),
        ([{"index": 3, "id": "a", "f": ("f", '{"a":')}, {"index": 3, "id": "a", "f": ("f", "1}")}], (F,)),
        ([{"index": 0, "id": "a", "f": ("f", '{"a":')}, {"index": 0, "id": "z", "f": ("", "1}")}], (F,)),
        ([{"index": 0, "id": "a", "f": ("f", {"a": 1})}], (WireCall("a", "f", '{"a": 1}'),)),
        ([{"index": 0, "id": "a", "f": ("f", "")}], (WireCall("a", "f", "{}"),)),
        ([{"index": 0, "id": "a", "f": ("f", None)}], (WireCall("a", "f", "{}"),)),
    ],
)
def test_calls_as_servers_stream_them(parts: list[dict[str, Any]], calls: tuple[WireCall, ...]) -> None:
    stream = ConvertedStream("chat", "anthropic", CALLER)
    for part in parts:
        name, arguments = part.pop("f")
        stream.feed(chunk({"tool_calls": [{**part, "function": {"name": name, "arguments": arguments}}]}))
    # Some servers say that they just stopped.
    stream.feed(chunk({}, "stop"))
    told = stream.end()
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    found = stream.response.blocks
    named = [call for call in found if isinstance(call, WireCall) and call.call_id]
    assert [(call.name, call.arguments) for call in named] == [(call.name, call.arguments) for call in calls]
    assert len({call.call_id for call in named}) == len(calls)
    assert stream.lost == ()


def anthropic_call(given: dict[str, Any], *parts: str) -> list[dict[str, Any]]:
    block = {"type": "tool_use", "id": "", "name": "f", "input": given}
    return [
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": one},
            }
            for one in parts
        ),
        {"type": "content_block_stop", "index": 0},
    ]


@pytest.mark.parametrize(
    ("events", "arguments"),
    [
        (anthropic_call({}), "{}"),
        (anthropic_call({}, ""), "{}"),
        (anthropic_call({"a": 1}), '{"a": 1}'),
        (anthropic_call({"a": 1}, '{"a":', "2}"), '{"a":2}'),
    ],
)
@pytest.mark.parametrize("client", NAMES)
def test_calls_have_arguments_and_ids(
    events: list[dict[str, Any]], arguments: str, client: FormatName
) -> None:
    stream = ConvertedStream("anthropic", client, CALLER)
    for event in events:
        stream.feed(event)
    assert stream.response.blocks == (WireCall("call_req_1_0", "f", arguments),)


def test_items_that_are_streamed_at_once_are_passed_on_one_after_the_other() -> None:
    def item(number: int, kind: str, **said: Any) -> dict[str, Any]:
        call = {"type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": ""}
        return {"type": f"response.{kind}", "output_index": number, "item": call, **said}

    stream = ConvertedStream("responses", "chat", CALLER)
    delta = "function_call_arguments.delta"
    for event in [
        item(0, "output_item.added"),
        item(1, "output_item.added"),
        item(2, "output_item.added"),
        item(1, delta, delta='{"b":'),
        item(0, delta, delta='{"a":'),
        item(1, delta, delta="2}"),
        item(1, "output_item.done"),
        item(0, delta, delta="1}"),
        item(0, "output_item.done"),
        {"type": "response.completed", "response": {"id": "r", "output": []}},
    ]:
        stream.feed(event)
    said = [block.arguments for block in stream.response.blocks if isinstance(block, WireCall)]
    assert said == ['{"a":1}', '{"b":2}', "{}"]
    assert stream.lost == ()


@pytest.mark.parametrize(
    ("service", "event"),
    [
        (
            "anthropic",
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_result", "tool_use_id": "x"},
            },
        ),
        (
            "gemini",
            {"candidates": [{"content": {"parts": [{"functionResponse": {"name": "f", "response": {}}}]}}]},
        ),
    ],
)
def test_what_no_answer_holds_is_named(service: FormatName, event: dict[str, Any]) -> None:
    stream = ConvertedStream(service, "chat", CALLER)
    stream.feed(event)
    assert stream.response.blocks == ()
    assert "answers" in " ".join(map(str, stream.lost))


def test_what_follows_the_end_is_nothing() -> None:
    stream = ConvertedStream("anthropic", "chat", CALLER)
    for event in [*ANTHROPIC, {"type": "message_stop"}]:
        stream.feed(event)
    assert stream.is_over
    assert stream.feed(ANTHROPIC[2]) == []


@pytest.mark.parametrize("size", range(1, 12))
def test_events_are_found_however_their_bytes_come(size: int) -> None:
    raw = (
        '\ufeff: hi\rdata: {"a":\r\ndata: 1}\n\nid: 5\nevent: x\ndata:{"b":"é"}\r\rdata: [DONE]\n\n'.encode()
    )
    decoder = sse.EventDecoder()
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert [event for part in [*parts, b""] for event in decoder.feed(part)] == [{"a": 1}, {"b": "é"}]
    assert decoder.is_done


@pytest.mark.parametrize("raw", [b"data: ", b"data: x\n", b": "])
def test_an_event_has_so_many_bytes(raw: bytes) -> None:
    decoder = sse.EventDecoder(100)
    assert decoder.feed(raw * (100 // len(raw))) == []
    with pytest.raises(ValueError, match="more than 100 bytes"):
        decoder.feed(raw * 5)
