"""What we write, as the SDK of each format reads it: types, and streams that its client adds up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google import genai
from google.genai import types as google
from hypothesis import given, settings
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter, ValidationError

from multi_agent.models.adapters.http_body import http_library
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireRequest, WireResponse
from multi_agent.models.wire.convert import convert_response, streamed
from multi_agent.models.wire.failures import WireFailure, failure_body, failure_status
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.formats import FORMATS
from tests.models.wire.properties import CALLER, NAMES, carried, written
from tests.models.wire.strategies import requests, responses
from tests.models.wire.test_properties import FEW

PARAMS: dict[str, TypeAdapter[Any]] = {
    "anthropic": TypeAdapter(MessageCreateParamsNonStreaming),
    "chat": TypeAdapter(CompletionCreateParamsNonStreaming),
    "responses": TypeAdapter(ResponseCreateParamsNonStreaming),
}
GOOGLE: dict[str, TypeAdapter[Any]] = {
    "contents": TypeAdapter(list[google.Content]),
    "systemInstruction": TypeAdapter(google.Content),
    "tools": TypeAdapter(list[google.Tool]),
    "toolConfig": TypeAdapter(google.ToolConfig),
    "generationConfig": TypeAdapter(google.GenerationConfig),
}
ANSWERS: dict[FormatName, Any] = {
    "anthropic": anthropic.types.Message,
    "chat": ChatCompletion,
    "responses": Response,
    "gemini": google.GenerateContentResponse,
}
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@settings(FEW, max_examples=15)
@given(requests())
def test_requests_have_the_types_of_the_sdks(request: WireRequest) -> None:
    for name in NAMES:
        body, _ = written(request, name)
        if name == "gemini":
            for key, value in body.items():
                GOOGLE[key].validate_json(json.dumps(value))
        else:
            read_through(PARAMS[name].validate_python(body))


def read_through(value: Any) -> None:
    """Read all of it: what is iterable is checked when it is read."""
    if isinstance(value, dict):
        value = value.values()
    elif isinstance(value, str | int | float | None):
        return
    for one in value:
        read_through(one)


def test_wrong_requests_do_not_have_them() -> None:
    for name in ("anthropic", "chat"):
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "x"}]}]}
        with pytest.raises(ValidationError):
            read_through(PARAMS[name].validate_python(body))


@settings(FEW, max_examples=15)
@given(responses())
def test_answers_have_the_types_of_the_sdks(response: WireResponse) -> None:
    for name in NAMES:
        body = FORMATS[name].write_response(response, Notes(), CALLER)
        ANSWERS[name].model_validate_json(json.dumps(body))
        for event in streamed(response, name, CALLER):
            if name == "responses":
                EVENTS.validate_json(json.dumps(event))


def client_of(name: FormatName, status: int, content: bytes) -> Any:
    """The SDK's client, to which a service answers so."""
    library = http_library()
    kind = "text/event-stream" if status == 200 else "application/json"
    transport = library.MockTransport(
        lambda _: library.Response(status, content=content, headers={"content-type": kind})
    )
    if name == "gemini":
        options = google.HttpOptions(
            httpx_client=library.Client(transport=transport), base_url="http://a.example"
        )
        return genai.Client(api_key="k", vertexai=False, http_options=options)
    module: Any = anthropic if name == "anthropic" else openai
    http = library.Client(transport=transport)
    return module.Client(api_key="k", base_url="http://a.example", http_client=http, max_retries=0)


def ask_anthropic(client: Any) -> Any:
    user = [{"role": "user", "content": "x"}]
    with client.messages.stream(model="m", max_tokens=1, messages=user) as stream:
        return stream.get_final_message().to_dict()


def ask_chat(client: Any) -> Any:
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    user = [{"role": "user", "content": "x"}]
    for chunk in client.chat.completions.create(model="m", messages=user, stream=True):
        state.handle_chunk(chunk)
    return state.current_completion_snapshot.to_dict()


def ask_responses(client: Any) -> Any:
    *_, last = client.responses.create(model="m", input="x", stream=True)
    return last.response.to_dict()


def ask_gemini(client: Any) -> Any:
    chunks = list(client.models.generate_content_stream(model="m", contents="x"))
    plain = [chunk.model_dump(mode="json", by_alias=True, exclude_none=True) for chunk in chunks]
    said = [one["content"].get("parts") or [] for chunk in plain for one in chunk["candidates"]]
    whole = plain[-1]
    whole["candidates"][0]["content"]["parts"] = [part for parts in said for part in parts]
    whole.pop("sdkHttpResponse", None)
    return whole


ASK: dict[FormatName, Callable[[Any], Any]] = {
    "anthropic": ask_anthropic,
    "chat": ask_chat,
    "responses": ask_responses,
    "gemini": ask_gemini,
}


def encoded(events: list[dict[str, Any]], name: FormatName) -> bytes:
    return b"".join(sse.encoded(name, event) for event in events) + sse.ended(name)


def joined(response: WireResponse) -> list[tuple[str, str]]:
    """What an answer says: the pieces of a stream as its client has them, together."""
    found: list[tuple[str, str]] = []
    for block in carried(response.blocks):
        kind, text = type(block).__name__, getattr(block, "text", "") or getattr(block, "arguments", "")
        if found and found[-1][0] == kind == "WireText":
            found[-1] = (kind, found[-1][1] + text)
        elif text:
            found.append((kind, text))
    return found


@pytest.mark.parametrize("name", NAMES)
@settings(FEW, max_examples=5)
@given(responses())
def test_clients_add_streams_up(name: FormatName, response: WireResponse) -> None:
    client = client_of(name, 200, encoded(streamed(response, name, CALLER), name))
    added = FORMATS[name].read_response(ASK[name](client), Notes(), CALLER)
    whole = FORMATS[name].write_response(response, Notes(), CALLER)
    expected = FORMATS[name].read_response(json.loads(json.dumps(whole)), Notes(), CALLER)
    assert joined(added) == joined(expected)
    assert replace(added, blocks=()) == replace(expected, blocks=())


def errors() -> Iterator[tuple[FormatName, WireFailure, type[Exception]]]:
    """Failures, and what the clients make of them."""
    for name in NAMES:
        module: Any = anthropic if name == "anthropic" else openai
        if name == "gemini":
            yield name, WireFailure("invalid", "no"), genai.errors.ClientError
            yield name, WireFailure("overloaded", "later"), genai.errors.ServerError
        else:
            yield name, WireFailure("invalid", "no"), module.BadRequestError
            yield name, WireFailure("authentication", "who?"), module.AuthenticationError
            yield name, WireFailure("rate_limit", "later"), module.RateLimitError
            yield name, WireFailure("overloaded", "later"), module.InternalServerError


@pytest.mark.parametrize(("name", "failure", "error"), [*errors()])
def test_clients_know_our_errors(name: FormatName, failure: WireFailure, error: type[Exception]) -> None:
    content = json.dumps(failure_body(name, failure)).encode()
    with pytest.raises(error, match=failure.message):
        ASK[name](client_of(name, failure_status(name, failure), content))


def test_a_converted_answer_has_the_types_of_the_clients_sdk() -> None:
    body = {"id": "a", "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]}
    for name in set(NAMES) - {"chat"}:
        found = convert_response(body, "chat", name, CALLER)
        ANSWERS[name].model_validate_json(json.dumps(found.body))
        assert joined(FORMATS[name].read_response(found.body, Notes(), CALLER)) == [("WireText", "Hi.")]
