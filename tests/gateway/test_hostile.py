"""Callers and services that speak HTTP, events and JSON badly, or do not speak at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from multi_agent.models.wire.canonical import FormatName
from tests.gateway.fake_service import FakeService
from tests.gateway.rigs import CANARY, Rig, gateway_over
from tests.gateway.test_gateway import CHAT, GEMINI, GENERATE, MESSAGES

STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
PATHS: dict[FormatName, tuple[str, dict[str, Any]]] = {
    "anthropic": ("/v1/messages", {**MESSAGES, "stream": True}),
    "chat": ("/v1/chat/completions", STREAM),
}


def part(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c', 'model': 'm', 'choices': [choice]})}\n\n"


SAID = part({"content": "Hé"})
USED = {"id": "c", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
ENDED = part({}, "stop") + f"data: {json.dumps(USED)}\n\ndata: [DONE]\n\n"


@asynccontextmanager
async def over_bytes(answer: bytes, *, of: FormatName = "chat", stays: bool = False) -> AsyncIterator[Rig]:
    """A gateway over a service that answers everything with these bytes, and may keep the connection."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
        writer.write(answer)
        if stays:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        places: dict[str, Any] = {
            "openai_base_url": f"{url}/v1",
            "anthropic_base_url": url,
            "gemini_base_url": url,
        }
        async with gateway_over(FakeService(), of=of, model_timeout_seconds=9, **places) as rig:
            yield rig


def streamed(text: str | bytes) -> bytes:
    body = text.encode() if isinstance(text, str) else text
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + body


def request(path: str, body: Any = b"", method: str = "POST", more: str = "") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}"
    return f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw


async def told(rig: Rig, sent: bytes) -> tuple[int, str]:
    """What a caller of these bytes is told, until the connection ends."""
    host, port = rig.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(20):
        raw = await reader.read()
    writer.close()
    return int(raw.split()[1]), raw.partition(b"\r\n\r\n")[2].decode()


HALF = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        HALF + b"x-api-key: " + CANARY.encode() * 300 + b"\r\n\r\n",
        HALF + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HALF + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}{}",
        HALF + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        f"{CANARY}\r\n\r\n".encode(),
    ],
)
async def test_what_is_no_request_is_refused_in_words_of_every_format_and_logged_without_them(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        async with gateway_over(FakeService()) as rig:
            status, body = await told(rig, sent)
    said = json.loads(body)
    assert (status, said["type"], said["error"]["status"]) == (400, "error", "INVALID_ARGUMENT")
    assert said["error"]["type"] == "invalid_request_error"
    assert [line["event"] for line in logs] == ["gateway_no_request"]
    assert CANARY not in f"{body}{logs}{caplog.text}"


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (request("/v1/models/gpt-9", method="GET"), 200, '"id":"gpt-9"'),
        (request("/v1beta/models/gemini-9", method="GET"), 200, '"name":"models/gemini-9"'),
        (request("/v1/models/a%20b", method="GET"), 404, "no model answers"),
        (request("/v1/models", method="HEAD"), 200, ""),
        (request("/v1/models", method="DELETE"), 404, "there is nothing at DELETE /v1/models"),
        (request("/v1/messages/", MESSAGES), 200, "Hello, world."),
        (request("//v1/messages", MESSAGES), 200, "Hello, world."),
        (request("/v1/messages", [MESSAGES]), 400, "must name a model"),
    ],
)
async def test_addresses(sent: bytes, code: int, said: str) -> None:
    async with gateway_over(FakeService()) as rig:
        status, body = await told(rig, sent)
    assert (status, said in body) == (code, True), body


async def test_a_caller_that_waits_for_a_word_before_its_body_gets_it() -> None:
    async with gateway_over(FakeService()) as rig:
        host, port = rig.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head, _, body = request("/v1/messages", MESSAGES, more="Expect: 100-continue\r\n").partition(
            b"\r\n\r\n"
        )
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_every_header_of_betas_passes() -> None:
    async with gateway_over(FakeService(), of="anthropic") as rig:
        await told(rig, request("/v1/messages", MESSAGES, more="anthropic-beta: a\r\nAnthropic-Beta: b\r\n"))
        assert rig.service.asked[-1][1]["anthropic-beta"] == "a,b"


async def test_an_answer_is_under_way_until_its_caller_has_it() -> None:
    text = json.dumps({"choices": [{"message": {"content": "x" * 7_000_000}, "finish_reason": "stop"}]})
    async with over_bytes(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text.encode()) as rig:
        host, port = rig.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1_024)
        writer.write(request("/v1/chat/completions", CHAT))
        await reader.readuntil(b"\r\n\r\n")
        assert rig.gateway.admission.requests == 1
        writer.transport.abort()


@pytest.mark.parametrize("to", list(PATHS))
@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SAID + ENDED,
        (SAID + ENDED).replace("\n", "\r"),
        (SAID + ENDED).replace("\n", "\r\n"),
        ": here\n\nid: 5\nretry: 1\n" + SAID + ":\n\n" + ENDED,
        SAID.replace('"model"', '\ndata: "model"') + ENDED,
    ],
)
async def test_events_in_every_spelling_are_read(text: str, to: FormatName) -> None:
    with capture_logs() as logs:
        async with over_bytes(streamed(text)) as rig:
            _, body = await told(rig, request(*PATHS[to]))
    assert ("Hé" in body, "error" in body) == (True, False), body
    (line,) = logs
    assert (line["input"], line["output"]) == (11, 7)


START = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}}
BEGUN = f"data: {json.dumps(START)}\n\n"


@pytest.mark.parametrize(
    ("of", "body", "said"),
    [
        ("chat", SAID, "the service's stream broke off"),
        ("chat", SAID + "data: {half", "the service's stream broke off (Expecting"),
        ("chat", "<html>", "the service's stream broke off"),
        ("chat", b"\x1f\x8b\x08\n\ndata: \x8b\n\n", "can't decode"),
        ("chat", SAID + 'data: {"error": {"message": "no, ' + CANARY + '"}}\n\n', "no, [secret]"),
        ("chat", "data: " + "x" * 8_200_000, "an event has more than"),
        ("anthropic", BEGUN, "the service's stream broke off"),
        ("anthropic", BEGUN + 'data: {"error": {"message": "no"}}\n\n', "no"),
    ],
)
@pytest.mark.parametrize("to", list(PATHS))
async def test_half_a_stream_says_why_and_has_no_usage(
    of: FormatName, body: str | bytes, said: str, to: FormatName
) -> None:
    with capture_logs() as logs:
        async with over_bytes(streamed(body), of=of) as rig:
            _, heard = await told(rig, request(*PATHS[to]))
    (line,) = logs
    assert said in heard
    assert said in line["reason"]
    assert "output" not in line
    assert CANARY not in f"{heard}{logs}"


async def test_a_service_that_says_all_and_stays_is_left() -> None:
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
    text = f'{BEGUN}data: {json.dumps(stop)}\n\ndata: {{"type": "message_stop"}}\n\n'
    with capture_logs() as logs:
        async with over_bytes(streamed(text), of="anthropic", stays=True) as rig:
            _, heard = await told(rig, request(*PATHS["chat"]))
    assert heard.count("[DONE]") == 1
    assert ("failure" in logs[0], logs[0]["output"]) == (False, 7)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"204 No Content\r\n\r\n", "answered with status 204"),
        (
            b"302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
            "answered with status 302",
        ),
        (b"500 No\r\nConnection: close\r\n\r\n<html>" + CANARY.encode(), "answered with status 500"),
        (b'422 No\r\nConnection: close\r\n\r\n{"detail": "no field"}', "no field"),
        (b"200 OK\r\nConnection: close\r\n\r\n{}", "must hold an answer"),
        (b"200 OK\r\nConnection: close\r\n\r\n<html>", "no JSON object"),
        (b"200 OK\r\nContent-Length: 100\r\n\r\n{}", "broke off"),
        (b"", "no usable answer"),
    ],
)
@pytest.mark.parametrize("of", ["chat", "anthropic", "gemini"])
async def test_what_is_no_answer_is_an_error_with_a_reason(answer: bytes, said: str, of: FormatName) -> None:
    with capture_logs() as logs:
        async with over_bytes(b"HTTP/1.1 " + answer if answer else b"", of=of) as rig:
            status, heard = await told(rig, request("/v1/messages", MESSAGES))
    assert status >= 400
    assert said in json.loads(heard)["error"]["message"]
    assert CANARY not in f"{heard}{logs}"


async def test_google_streams_one_list_where_nobody_asks_for_events() -> None:
    async with gateway_over(FakeService()) as rig:
        path = GEMINI.replace(":g", ":streamG")
        _, listed = await told(rig, request(path, GENERATE))
    async with gateway_over(FakeService(whole=True)) as rig:
        _, whole = await told(rig, request(path, GENERATE))
    async with gateway_over(FakeService(breaks=True)) as rig:
        _, half = await told(rig, request(path, GENERATE))
    for body in (listed, whole):
        *first, last = json.loads(undone(body))
        assert (
            "".join(one["candidates"][0]["content"]["parts"][0]["text"] for one in first) == "Hello, world."
        )
        assert last["usageMetadata"]["candidatesTokenCount"] == 7
    assert json.loads(undone(half))[-1]["error"]["status"] == "INTERNAL"


def undone(body: str) -> str:
    """A body that may have come in chunks, without their lengths."""
    lines = body.split("\r\n")
    return "".join(line for line in lines if not line or line[0] in '[{,]"')
