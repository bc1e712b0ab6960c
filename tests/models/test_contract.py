"""What every adapter of the ModelClient port must do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contracts.base.errors import ModelRefused
from contracts.ports.model import ModelMessage, ModelRequest
from tests.models.rigs import ALL_KINDS, CANARY, asking, rig

pytestmark = pytest.mark.parametrize("kind", ALL_KINDS)

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TEXT = 'Grüße 😀, "quoted" \\ back\n\n```json\n{"a": "b\\n"}\n```\n\ttab \u2028 end \n'


async def test_text_arrives_untouched(kind: str, tmp_path: Path) -> None:
    request = asking("say something difficult")
    async with rig(kind, tmp_path, [request], lambda _: TEXT) as client:
        response = await client.complete(request)
    assert response.text == TEXT
    assert response.model


async def test_usage_is_the_services_own(kind: str, tmp_path: Path) -> None:
    request = asking()
    async with rig(kind, tmp_path, [request], lambda _: "done") as client:
        response = await client.complete(request)
    expected = (0, 0) if kind == "manual" else (11, 7)
    assert (response.input_tokens, response.output_tokens) == expected
    assert response.cost_usd == 0.0


async def test_schema_and_several_turns(kind: str, tmp_path: Path) -> None:
    turns = (
        ModelMessage("user", "first"),
        ModelMessage("model", '{"a": 1}'),
        ModelMessage("user", "repair it"),
    )
    request = ModelRequest("planner.plan", "", turns, response_schema=SCHEMA)
    async with rig(kind, tmp_path, [request], lambda text: f'{{"a": "{text}"}}') as client:
        assert (await client.complete(request)).text == '{"a": "repair it"}'


async def test_each_request_gets_its_own_answer_again(kind: str, tmp_path: Path) -> None:
    requests = [asking(f"number {number}") for number in range(8)]
    async with rig(kind, tmp_path, requests, lambda text: f"answer to {text}") as client:
        once = await asyncio.gather(*map(client.complete, requests))
        again = await asyncio.gather(*map(client.complete, reversed(requests)))
    assert [response.text for response in once] == [f"answer to number {number}" for number in range(8)]
    assert list(reversed(again)) == once


async def test_blank_answers_are_refused(kind: str, tmp_path: Path) -> None:
    request = asking()
    async with rig(kind, tmp_path, [request], lambda _: " \n") as client:
        with pytest.raises(ModelRefused, match="empty answer"):
            await client.complete(request)


async def test_name_says_what_it_is(kind: str, tmp_path: Path) -> None:
    async with rig(kind, tmp_path, [], str) as client:
        assert client.name.startswith(kind)
        assert CANARY not in client.name + repr(client)
