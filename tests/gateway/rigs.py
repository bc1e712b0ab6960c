"""A gateway over a service that is not real, and the SDKs of each format as its callers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types as google
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from multi_agent.bootstrap.gateway import make_gateway
from multi_agent.gateway.admission import Admission
from multi_agent.gateway.gateway import Gateway
from multi_agent.gateway.serving import listening
from multi_agent.models.adapters.http_body import http_library
from multi_agent.models.wire.canonical import FormatName
from multi_agent.runtime.gateway import kept
from multi_agent.settings import load_settings
from tests.gateway.fake_service import FakeService, serving

CANARY = "canary-5f1c-key-that-must-stay-secret"
CALLERS: tuple[FormatName, ...] = ("anthropic", "chat", "responses", "gemini")
SERVICES: dict[FormatName, str] = {
    "anthropic": "anthropic",
    "chat": "openai",
    "responses": "openai",
    "gemini": "gemini",
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class Rig:
    """A gateway that serves."""

    gateway: Gateway
    service: FakeService
    url: str


@asynccontextmanager
async def gateway_over(
    service: FakeService,
    *,
    of: FormatName = "chat",
    keys: Path | None = None,
    admission: Admission | None = None,
    keeps: bool = False,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A gateway in front of a service of one format, and what it keeps where that is wanted."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(service))
        given = {
            "model": f"{SERVICES[of]}:up-model",
            "gateway_keys": keys,
            "gemini_base_url": service.url,
            "openai_base_url": f"{service.url}/v1",
            "anthropic_base_url": service.url,
            **{f"{kind}_api_key": SecretStr(CANARY) for kind in ("gemini", "openai", "anthropic")},
        }
        known = load_settings(given | settings)
        gateway = make_gateway(known)
        if of == "responses":
            gateway = replace(gateway, rules=replace(gateway.rules, speaks_responses=True))
        soon = replace(gateway.tries, policy=replace(gateway.tries.policy, first_wait_seconds=0.01))
        gateway = replace(gateway, admission=admission or gateway.admission, tries=soon)
        if keeps:
            gateway = stack.enter_context(kept(gateway, known, CollectorRegistry()))
        url = await stack.enter_async_context(listening(gateway, "127.0.0.1", 0))
        yield Rig(gateway, service, url)


@dataclass(frozen=True)
class Heard:
    """What an SDK says that it was answered."""

    text: str
    calls: list[tuple[str, dict[str, Any]]]
    given: int
    made: int


async def ask(name: FormatName, url: str, *, stream: bool, tools: bool = False, key: str = "any") -> Heard:
    """Ask with the SDK of a format."""
    match name:
        case "anthropic":
            return await _anthropic(url, key, stream=stream, tools=tools)
        case "chat":
            return await _chat(url, key, stream=stream, tools=tools)
        case "responses":
            return await _responses(url, key, stream=stream, tools=tools)
        case "gemini":
            return await _gemini(url, key, stream=stream, tools=tools)


def anthropic_client(url: str, key: str = "any") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0, timeout=20)


def openai_client(url: str, key: str = "any") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0, timeout=20)


@asynccontextmanager
async def google_client(url: str, key: str = "any") -> AsyncIterator[genai.Client]:
    # Without a client of ours it takes aiohttp where that is installed, and is warned by it.
    async with http_library().AsyncClient() as own:
        options = google.HttpOptions(base_url=url, timeout=20_000, httpx_async_client=own)
        client = genai.Client(api_key=key, http_options=options)
        yield client
        await client.aio.aclose()
        client.close()


async def _anthropic(url: str, key: str, *, stream: bool, tools: bool) -> Heard:
    more: dict[str, Any] = {"tools": [{"name": "weather", "input_schema": SCHEMA}]} if tools else {}
    asked: dict[str, Any] = {"model": "claude-opus-9", "max_tokens": 100, "messages": _said(), **more}
    async with anthropic_client(url, key) as client:
        if stream:
            async with client.messages.stream(**asked) as events:
                answer = await events.get_final_message()
        else:
            answer = await client.messages.create(**asked)
    calls = [(one.name, one.input) for one in answer.content if one.type == "tool_use"]
    text = "".join(one.text for one in answer.content if one.type == "text")
    return Heard(text, calls, answer.usage.input_tokens, answer.usage.output_tokens)


async def _chat(url: str, key: str, *, stream: bool, tools: bool) -> Heard:
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    asked: dict[str, Any] = {"model": "gpt-9", "messages": _said(), **({"tools": [tool]} if tools else {})}
    answer: Any
    async with openai_client(url, key) as client:
        if stream:
            asked["stream_options"] = {"include_usage": True}
            async with client.chat.completions.stream(**asked) as events:
                answer = await events.get_final_completion()
        else:
            answer = await client.chat.completions.create(**asked)
    message, usage = answer.choices[0].message, answer.usage
    called = [one.function for one in message.tool_calls or []]
    calls = [(one.name, json.loads(one.arguments)) for one in called]
    return Heard(message.content or "", calls, usage.prompt_tokens, usage.completion_tokens)


async def _responses(url: str, key: str, *, stream: bool, tools: bool) -> Heard:
    tool = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    asked: dict[str, Any] = {"model": "gpt-9", "input": "Hi", **({"tools": [tool]} if tools else {})}
    answer: Any
    async with openai_client(url, key) as client:
        if stream:
            async with client.responses.stream(**asked) as events:
                answer = await events.get_final_response()
        else:
            answer = await client.responses.create(**asked)
    calls = [(one.name, json.loads(one.arguments)) for one in answer.output if one.type == "function_call"]
    return Heard(answer.output_text, calls, answer.usage.input_tokens, answer.usage.output_tokens)


async def _gemini(url: str, key: str, *, stream: bool, tools: bool) -> Heard:
    declared = google.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
    config = google.GenerateContentConfig(
        tools=[google.Tool(function_declarations=[declared])] if tools else None,
        automatic_function_calling=google.AutomaticFunctionCallingConfig(disable=True),
    )
    asked: dict[str, Any] = {"model": "gemini-9", "contents": "Hi", "config": config}
    events: list[Any]
    async with google_client(url, key) as client:
        if stream:
            events = [event async for event in await client.aio.models.generate_content_stream(**asked)]
        else:
            events = [await client.aio.models.generate_content(**asked)]
    parts = [part for event in events for part in event.candidates[0].content.parts or []]
    called = [part.function_call for part in parts if part.function_call]
    usage = events[-1].usage_metadata
    made = usage.candidates_token_count
    text = "".join(part.text or "" for part in parts)
    return Heard(text, [(one.name, one.args) for one in called], usage.prompt_token_count, made)


def _said() -> list[dict[str, str]]:
    return [{"role": "user", "content": "Hi"}]
