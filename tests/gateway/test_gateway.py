"""What callers are told, what services are sent, what is logged, and what nobody ever sees."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import anthropic
import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from multi_agent.gateway.admission import Admission
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireResponse, WireText
from tests.gateway.fake_service import HELLO, FakeService
from tests.gateway.rigs import CANARY, Heard, anthropic_client, ask, gateway_over

SAID = [{"role": "user", "content": "Hi"}]
CHAT: dict[str, Any] = {"model": "gpt-9", "messages": SAID}
MESSAGES: dict[str, Any] = {"model": "claude-opus-9", "max_tokens": 9, "messages": SAID}
GENERATE: dict[str, Any] = {"contents": [{"parts": [{"text": "Hi"}]}]}
GEMINI = "/v1beta/models/gemini-9:generateContent"


async def post(url: str, body: Any, **headers: str) -> tuple[int, str, Any]:
    """Status, headers as text, JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with ClientSession() as session, session.post(url, data=io.BytesIO(raw), headers=headers) as reply:
        return reply.status, str(dict(reply.headers)), await reply.json()


async def events_of(url: str, body: Any) -> list[dict[str, Any]]:
    decoder = sse.EventDecoder()
    async with ClientSession() as session, session.post(url, json=body) as reply:
        return decoder.feed(await reply.read()) + decoder.end()


async def test_an_error_is_told_in_the_format_of_the_caller() -> None:
    said = {"error": {"message": f"slow down, {CANARY}", "type": "requests", "code": "rate_limit_exceeded"}}
    service = FakeService(status=429, error=said, headers={"Retry-After": "7"})
    async with gateway_over(service, of="chat") as rig:
        async with anthropic_client(rig.url) as client:
            with pytest.raises(anthropic.RateLimitError, match="slow down") as limited:
                await client.messages.create(**MESSAGES)
        status, _, body = await post(rig.url + GEMINI, GENERATE)
    assert limited.value.response.headers["retry-after"] == "7"
    assert '"rate_limit_error"' in limited.value.response.text
    assert CANARY not in limited.value.response.text + str(body)
    assert (status, body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")


async def test_a_service_of_the_callers_format_says_its_errors_itself() -> None:
    coded = CANARY.encode().hex()
    told = f"too long {CANARY} {coded}"
    said = {"error": {"message": told, "type": "x", "code": "context_length_exceeded"}}
    async with gateway_over(FakeService(status=400, error=said), of="chat") as rig:
        status, _, body = await post(f"{rig.url}/v1/chat/completions", CHAT)
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    assert CANARY not in str(body)
    assert coded not in str(body)


async def test_a_key_that_a_service_refuses_is_not_the_callers() -> None:
    said = {"error": {"message": f"wrong key {CANARY[:12]}", "type": "authentication_error"}}
    async with gateway_over(FakeService(status=401, error=said), of="anthropic") as rig:
        status, _, body = await post(f"{rig.url}/v1/messages", MESSAGES)
    assert (status, body["error"]["type"]) == (403, "permission_error")
    assert CANARY[:12] not in str(body)


@pytest.mark.parametrize("of", ["chat", "anthropic"])
async def test_an_echoed_key_is_shown_to_nobody_and_logged_nowhere(of: FormatName) -> None:
    echo = WireResponse("up-1", "up-model", (WireText(f"you sent {CANARY}"),))
    with capture_logs() as logs:
        async with gateway_over(FakeService(answer=echo), of=of) as rig:
            whole = await post(f"{rig.url}/v1/chat/completions", CHAT)
            streamed = await events_of(f"{rig.url}/v1/chat/completions", {**CHAT, "stream": True})
    assert "[secret]" in str(whole)
    assert "[secret]" in str(streamed)
    assert CANARY not in f"{whole}{streamed}{logs}"


async def test_what_is_wrong_with_a_request_is_named() -> None:
    wrong: list[tuple[str, Any, int, str]] = [
        ("/v1/messages", {**MESSAGES, "messages": [{"role": "poet", "content": "Hi"}]}, 400, "$.messages[0]"),
        ("/v1/messages", {**MESSAGES, "model": 5}, 400, "$.model: must name a model"),
        ("/v1/messages", b"{", 400, "not JSON"),
        ("/v1/messages", {**MESSAGES, "model": "../x"}, 404, "no model answers"),
        ("/v1/poems", CHAT, 404, "there is nothing at POST /v1/poems"),
    ]
    async with gateway_over(FakeService()) as rig:
        for path, body, code, said in wrong:
            status, _, told = await post(rig.url + path, body)
            assert (status, said in told["error"]["message"]) == (code, True), (path, told)
        assert not rig.service.asked
        compressed = await post(f"{rig.url}/v1/messages", b"x", **{"Content-Encoding": "gzip"})
    assert compressed[0] == 400


async def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    async with gateway_over(FakeService()) as rig:
        host, port = rig.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 32000001\r\n\r\n")
        told = await reader.readuntil(b"}}")
        writer.close()
        await writer.wait_closed()
    assert told.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in told


@pytest.mark.parametrize("room", [Admission(most_requests=0), Admission(most_bytes=10)])
async def test_there_is_room_for_so_much_at_once(room: Admission) -> None:
    async with gateway_over(FakeService(), admission=room) as rig:
        status, headers, body = await post(f"{rig.url}/v1/messages", MESSAGES)
        assert (status, body["error"]["type"]) == (529, "overloaded_error")
        assert "'Retry-After': '1'" in headers
        assert room.requests == room.bytes == 0


async def test_a_large_request_is_converted_beside_the_event_loop() -> None:
    text = "word " * 300_000
    async with gateway_over(FakeService(answer=replace(HELLO, blocks=(WireText(text),)))) as rig:
        asked = {**MESSAGES, "messages": [{"role": "user", "content": text}]}
        status, _, body = await post(f"{rig.url}/v1/messages", asked)
        assert rig.service.body["messages"] == [{"role": "user", "content": text}]
    assert (status, body["content"][0]["text"]) == (200, text)


async def test_a_service_that_answers_too_much_is_not_listened_to() -> None:
    huge = replace(HELLO, blocks=(WireText("x" * 9_000_000),))
    async with gateway_over(FakeService(answer=huge)) as rig:
        status, _, body = await post(f"{rig.url}/v1/messages", MESSAGES)
    assert (status, "more than 8,100,000 bytes" in body["error"]["message"]) == (500, True)


@pytest.mark.parametrize("of", ["chat", "anthropic"])
async def test_half_an_answer_is_none(of: FormatName) -> None:
    with capture_logs() as logs:
        async with gateway_over(FakeService(breaks=True), of=of) as rig:
            events = await events_of(f"{rig.url}/v1/messages", {**MESSAGES, "stream": True})
            status, _, body = await post(f"{rig.url}/v1/messages", MESSAGES)
    assert events[-1]["type"] == "error"
    assert (status, "broke off" in body["error"]["message"]) == (500, True)
    assert [line["failure"] for line in logs if line["event"] == "gateway_request"] == ["server"] * 2


async def test_a_service_without_streams_answers_whoever_wants_one() -> None:
    async with gateway_over(FakeService(whole=True)) as rig:
        assert await ask("anthropic", rig.url, stream=True) == Heard("Hello, world.", [], 11, 7)


async def test_a_service_that_is_away_is_said_to_be() -> None:
    async with gateway_over(FakeService(), openai_base_url="http://127.0.0.1:9/v1") as rig:
        status, _, body = await post(f"{rig.url}/v1/messages", MESSAGES)
    assert status == 529
    assert "connection refused; nothing listens there" in body["error"]["message"]


async def test_a_service_that_is_silent_is_not_waited_for() -> None:
    async with gateway_over(FakeService(stalls=True), model_timeout_seconds=0.2) as rig:
        status, _, body = await post(f"{rig.url}/v1/messages", MESSAGES)
        events = await events_of(f"{rig.url}/v1/messages", {**MESSAGES, "stream": True})
    assert (status, body["error"]["type"]) == (504, "timeout_error")
    assert events[-1]["type"] == "error"


async def test_what_only_a_format_knows_passes_to_its_service_unchanged() -> None:
    asked = {**MESSAGES, "new_field": {"a": [1]}, "messages": [{"role": "user", "content": "Hi"}]}
    async with gateway_over(FakeService(), of="anthropic") as rig:
        await post(f"{rig.url}/v1/messages?beta=true", asked, **{"anthropic-beta": "b-1", "cookie": "c"})
        path, headers, body = rig.service.asked[-1]
    assert path == "/v1/messages?beta=true"
    assert body == {**asked, "model": "up-model"}
    assert headers["anthropic-beta"] == "b-1"
    assert headers["x-api-key"] == CANARY
    assert "cookie" not in map(str.lower, headers)


async def test_what_is_lost_is_said_and_logged() -> None:
    with capture_logs() as logs:
        async with gateway_over(FakeService()) as rig:
            _, headers, _ = await post(
                f"{rig.url}/v1/messages", {**MESSAGES, "top_k": 5}, **{"anthropic-beta": "b"}
            )
    assert "$.top_k" in headers
    assert "anthropic-beta: b is for" in headers
    (line,) = [line for line in logs if line["event"] == "gateway_request"]
    assert line["lost_count"] == 2
    facts = {"caller": "everybody", "asked": "claude-opus-9", "model": "openai:up-model", "status": 200}
    assert (facts | {"input": 11, "output": 7}).items() <= line.items()


@pytest.mark.parametrize("of", ["chat", "anthropic"])
async def test_usage_is_known_of_streams_whose_caller_did_not_ask_for_it(of: FormatName) -> None:
    with capture_logs() as logs:
        async with gateway_over(FakeService(), of=of) as rig:
            events = await events_of(f"{rig.url}/v1/chat/completions", {**CHAT, "stream": True})
    assert not any(event.get("usage") for event in events)
    assert [line["output"] for line in logs if line["event"] == "gateway_request"] == [7]


async def test_tokens_are_counted_by_a_service_of_the_format_or_bounded() -> None:
    asked = {"model": "claude-opus-9", "messages": SAID}
    count = "/v1beta/models/gemini-9:countTokens"
    async with gateway_over(FakeService(), of="anthropic") as rig:
        assert (await post(f"{rig.url}/v1/messages/count_tokens", asked))[2]["input_tokens"] == 5
        assert rig.service.body == {**asked, "model": "up-model"}
    async with gateway_over(FakeService(), of="gemini") as rig:
        assert (await post(rig.url + count, GENERATE))[2]["totalTokens"] == 5
        assert rig.service.body["generateContentRequest"]["model"] == "models/up-model"
        bound = await post(f"{rig.url}/v1/messages/count_tokens", asked)
    assert bound[2] == {"input_tokens": len(json.dumps(asked))}


async def test_names_lead_to_models_by_rules() -> None:
    patterns = "fast*=openai:quick, gpt-*=openai:*"
    rules: dict[str, Any] = {"gateway_map": patterns, "gateway_big": "openai:large"}
    names = {"fast-1": "quick", "gpt-9": "gpt-9", "claude-opus-9": "large", "other": "up-model"}
    async with gateway_over(FakeService(), **rules) as rig:
        for asked, sent in names.items():
            await post(f"{rig.url}/v1/chat/completions", {**CHAT, "model": asked})
            assert rig.service.body["model"] == sent
        async with ClientSession() as session, session.get(f"{rig.url}/v1/models") as reply:
            listed = [one["id"] for one in (await reply.json())["data"]]
    assert listed == ["fast", "opus", "up-model"]


async def test_a_server_of_responses_is_asked_in_that_format() -> None:
    async with gateway_over(FakeService(), model="openai-responses:up-model") as rig:
        status, _, body = await post(f"{rig.url}/v1/messages", MESSAGES)
        assert rig.service.asked[0][0] == "/v1/responses"
    assert (status, body["content"][0]["text"]) == (200, "Hello, world.")
