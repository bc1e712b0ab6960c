"""What goes out to each service, and what only one of them does."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.base.errors import ModelRejected, NotConfigured
from contracts.ports.model import ModelMessage, ModelRequest, ModelTool
from multi_agent.models import ModelSettings, build_model
from multi_agent.models.prices import Price
from tests.models.rigs import CANARY, HTTP_KINDS, asking, http_client
from tests.support.model_server import ModelServer, Received, Say, Status, Step

HEADERS = {
    "openai": ("authorization",),
    "openai-responses": ("authorization",),
    "anthropic": ("authorization", "x-api-key"),
    "gemini": ("x-goog-api-key",),
    "gemini-legacy": ("x-goog-api-key",),
}
SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}}


async def sent(kind: str, steps: list[Step], *, schema: Any = SCHEMA, times: int = 1) -> list[Received]:
    with ModelServer(steps) as server:
        async with http_client(kind, server) as client:
            for number in range(times):
                await client.complete(asking(f"number {number}", schema=schema))
    return server.requests


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_key_goes_into_a_header_and_nowhere_else(kind: str) -> None:
    (received,) = await sent(kind, [Say("{}")])
    for header in HEADERS[kind]:
        assert CANARY in received.headers.pop(header)  # type: ignore[attr-defined]  # the server made a dict
    assert CANARY not in f"{received.path} {received.headers} {received.raw!r}"


@pytest.mark.parametrize("kind", HTTP_KINDS)
async def test_price(kind: str) -> None:
    with ModelServer([Say("ok", input_tokens=1_000_000, output_tokens=500_000)]) as server:
        prices = {"input_usd_per_million": 2.0, "output_usd_per_million": 10.0}
        async with http_client(kind, server, **prices) as client:
            assert (await client.complete(asking())).cost_usd == pytest.approx(7.0)


@pytest.mark.parametrize("kind", ["openai", "gemini", "anthropic"])
async def test_cached_tokens_have_a_price_of_their_own(kind: str) -> None:
    with ModelServer([Say("ok", input_tokens=1_000_000, output_tokens=0, cached_tokens=400_000)]) as server:
        prices = {"input_usd_per_million": 2.0, "cached_usd_per_million": 0.5}
        async with http_client(kind, server, **prices) as client:
            response = await client.complete(asking())
    assert response.usage.cached_input_tokens == 400_000
    assert response.cost_usd == pytest.approx(1.4)
    assert Price(2.0).cost(1_000_000, 0, 400_000) == pytest.approx(2.0)


async def test_openai_request() -> None:
    (received,) = await sent("openai", [Say("{}")])
    assert received.body == {
        "model": "the-model",
        "messages": [
            {"role": "system", "content": "You write code."},
            {"role": "user", "content": "number 0"},
        ],
        "temperature": 0.0,
        "max_tokens": 16_384,
        "response_format": {"type": "json_schema", "json_schema": {"name": "coder_write", "schema": SCHEMA}},
    }


async def test_openai_remembers_which_way_of_telling_the_schema_works() -> None:
    steps: list[Step] = [Status(400), Status(422), Say("{}"), Say("[]"), Say("free")]
    first, second, third, fourth = await sent("openai", steps[:4], times=2)
    formats = [received.body.get("response_format", {}).get("type") for received in (first, second, third)]
    assert formats == ["json_schema", "json_object", None]
    assert '"colour"' in third.body["messages"][0]["content"]
    assert fourth.body["messages"][0] == third.body["messages"][0]


async def test_openai_forgets_what_did_not_work_either() -> None:
    with ModelServer([Status(400), Status(400), Status(400, "too long"), Say("{}")]) as server:
        async with http_client("openai", server) as client:
            with pytest.raises(ModelRejected, match="too long"):
                await client.complete(asking(schema=SCHEMA))
            await client.complete(asking(schema=SCHEMA))
    assert server.requests[3].body["response_format"]["type"] == "json_schema"


async def test_openai_model_without_temperature() -> None:
    steps: list[Step] = [Status(400, param="temperature"), Say("{}"), Say("{}")]
    first, second, third = await sent("openai", steps, times=2)
    assert "temperature" in first.body
    assert "temperature" not in second.body
    assert "temperature" not in third.body
    assert third.body["response_format"]["type"] == "json_schema"


async def test_openai_server_without_a_key() -> None:
    with ModelServer([Say("hello")]) as server:
        async with http_client("openai", server, openai_api_key=None) as client:
            assert (await client.complete(asking())).text == "hello"


async def test_gemini_request() -> None:
    (received,) = await sent("gemini", [Say("{}")])
    assert received.path == "/v1beta/models/the-model:generateContent"
    assert received.body["generationConfig"] == {
        "temperature": 0.0,
        "maxOutputTokens": 16_384,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


async def test_gemini_tells_a_refused_schema_in_words() -> None:
    first, second = await sent("gemini", [Status(400, "schema too complex"), Say("{}")])
    assert "responseJsonSchema" in first.body["generationConfig"]
    assert "responseJsonSchema" not in second.body["generationConfig"]
    assert '"colour"' in second.body["systemInstruction"]["parts"][0]["text"]


async def test_gemini_legacy_request() -> None:
    (received,) = await sent("gemini-legacy", [Say("{}")])
    assert received.body["generationConfig"] == {
        "temperature": 0.0,
        "maxOutputTokens": 16_384,
        "responseMimeType": "application/json",
    }
    assert '"colour"' in received.body["systemInstruction"]["parts"][0]["text"]


@pytest.mark.parametrize("kind", ["gemini", "gemini-legacy"])
async def test_gemini_without_a_schema_asks_for_text(kind: str) -> None:
    (received,) = await sent(kind, [Say("free text")], schema=None)
    assert "responseMimeType" not in received.body["generationConfig"]


async def test_anthropic_request() -> None:
    """Its schemas are a subset: what is beyond it stands in descriptions."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    (received,) = await sent("anthropic", [Say("{}")], schema=schema)
    assert received.path == "/v1/messages"
    kept = {"type": "integer", "description": "{minimum: 1}"}
    known = {"type": "object", "properties": {"n": kept}, "additionalProperties": False}
    assert received.body == {
        "model": "the-model",
        "max_tokens": 16_384,
        "system": [{"type": "text", "text": "You write code."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "number 0"}]}],
        "output_config": {"format": {"type": "json_schema", "schema": known}},
    }


async def test_anthropic_tells_a_refused_schema_in_words() -> None:
    steps: list[Step] = [Status(400, "schema too complex"), Status(400, "the same"), Say("{}"), Say("{}")]
    *_, third, fourth = await sent("anthropic", steps, times=2)
    for received in (third, fourth):
        assert "output_config" not in received.body
        assert '"colour"' in received.body["system"][0]["text"]


async def test_anthropic_caches_a_conversation_with_tools_from_step_to_step() -> None:
    """Marked are the end of what all requests have in common, and the end of this one."""
    turns = (ModelMessage("user", "a"), ModelMessage("model", "b"), ModelMessage("user", "c"))
    tool = ModelTool("read", "Read a file.", {"type": "object"})
    with ModelServer([Say("ok")]) as server:
        async with http_client("anthropic", server) as client:
            await client.complete(ModelRequest("coder.step", "You work.", turns, tools=(tool,)))
    body = server.requests[0].body
    marked = [
        part["text"] for turn in body["messages"] for part in turn["content"] if "cache_control" in part
    ]
    assert marked == ["c"]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}


async def test_an_anthropic_account_without_credit_ends_at_once() -> None:
    low = Status(400, "Your credit balance is too low to access the API", name="invalid_request_error")
    with ModelServer([low]) as server:
        async with http_client("anthropic", server) as client:
            with pytest.raises(ModelRejected, match="no credit left"):
                await client.complete(asking(schema=SCHEMA))
    assert len(server.requests) == 1


@pytest.mark.parametrize("ending", ["/v1", "/v1/messages"])
def test_an_address_without_what_the_sdk_adds(ending: str) -> None:
    settings = ModelSettings(spec="anthropic:m", anthropic_base_url=f"http://127.0.0.1:1{ending}")
    with pytest.raises(NotConfigured, match=f"leave out {ending} at its end"):
        build_model(settings)
