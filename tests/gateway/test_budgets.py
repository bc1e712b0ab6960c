"""Budgets and rates of keys: what is charged before, what is given back, and what callers are told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientResponse, ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.base.errors import InvalidInput, NotConfigured
from multi_agent.bootstrap.gateway import make_gateway
from multi_agent.gateway.budgets.bound import RequestBound, unbounded
from multi_agent.gateway.budgets.budgets import KeyBudgets, OverKeyLimit
from multi_agent.gateway.budgets.ledger import KeyLedger, KeyRefused
from multi_agent.gateway.budgets.limits import KeyAmount, KeyLimits, KeySpent
from multi_agent.gateway.keys import add_key, change_limits, ledger_path, read_keys
from multi_agent.gateway.routes import ModelAddress
from multi_agent.models.prices import Price
from multi_agent.models.wire.canonical import WireUsage
from multi_agent.settings import load_settings
from tests.gateway.fake_service import HELLO, FakeService
from tests.gateway.racing import Race, race
from tests.gateway.rigs import Rig, gateway_over
from tests.gateway.test_gateway import CHAT, GEMINI, GENERATE, MESSAGES, post

NOON = 1_800_014_400.0
"""At 12:00 UTC."""
PRICES = {"input_price": 1.0, "output_price": 10.0}
ASKED = {**CHAT, "max_tokens": 100}
IN_FULL = len(json.dumps(ASKED)) * 1_000 + 100 * 10_000
"""What that request may take, in billionths of a dollar."""
HELLO_COSTS = 11 * 1_000 + 7 * 10_000
COMPLETIONS = "/v1/chat/completions"
URI_IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a"}}]}


@asynccontextmanager
async def limited(
    folder: Path, service: FakeService, limits: KeyLimits, **more: Any
) -> AsyncIterator[tuple[Rig, dict[str, str]]]:
    """A gateway whose one key has limits, and what shows the key."""
    keys = folder / "keys.json"
    key = add_key(keys, "ann", (), None, limits)
    given = {"data_dir": folder / "data", **PRICES, **more}
    async with gateway_over(service, keys=keys, keeps=True, **given) as rig:
        yield rig, {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def streamed(rig: Rig, key: dict[str, str]) -> AsyncIterator[ClientResponse]:
    body = {**ASKED, "stream": True}
    async with ClientSession(headers=key) as session, session.post(rig.url + COMPLETIONS, json=body) as reply:
        yield reply


def spent_in(folder: Path) -> KeySpent:
    """What the key has spent; by the end of a gateway all is settled."""
    ledger = KeyLedger(ledger_path(folder / "keys.json"))
    try:
        return ledger.spent("ann", time.time())
    finally:
        ledger.close()


async def test_what_a_request_did_not_take_is_given_back(tmp_path: Path) -> None:
    async with limited(tmp_path, FakeService(), KeyLimits(usd=1)) as (rig, key):
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 200
        async with streamed(rig, key) as reply:
            await reply.read()
    spent = spent_in(tmp_path)
    assert (spent.nano_usd, spent.tokens_today) == (2 * HELLO_COSTS, 2 * 18)
    assert (spent.requests_minute, spent.open_requests) == (2, 0)


async def test_an_unknown_usage_is_charged_in_full_and_an_error_is_free(tmp_path: Path) -> None:
    silent = FakeService(answer=replace(HELLO, usage=None))
    async with limited(tmp_path, silent, KeyLimits(usd=1)) as (rig, key):
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 200
        rig.service.status = 429
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 429
        counted = f"{rig.url}/v1/messages/count_tokens"
        assert (await post(counted, {"model": "claude-9", "messages": CHAT["messages"]}, **key))[0] == 200
    assert spent_in(tmp_path).nano_usd == IN_FULL


async def test_a_caller_that_hangs_up_pays_in_full(tmp_path: Path) -> None:
    async with limited(tmp_path, FakeService(stalls=True), KeyLimits(usd=1)) as (rig, key):
        async with streamed(rig, key) as reply:
            await reply.content.readany()
        async with asyncio.timeout(10):
            await rig.service.left.wait()
    spent = spent_in(tmp_path)
    assert spent.nano_usd > 100 * 10_000
    assert spent.open_requests == 0


async def test_half_a_stream_is_charged_in_full(tmp_path: Path) -> None:
    # It has said what the request took, and as yet one token of the answer.
    half = FakeService(breaks=True)
    gateway = limited(tmp_path, half, KeyLimits(usd=1), of="anthropic")
    async with gateway as (rig, key), streamed(rig, key) as reply:
        told = await reply.read()
    assert b"error" in told
    assert spent_in(tmp_path).nano_usd >= 100 * 10_000


async def test_a_refusal_says_which_limit_in_the_format_of_the_caller(tmp_path: Path) -> None:
    limits = KeyLimits(usd=1.5 * IN_FULL / 1e9)
    async with limited(tmp_path, FakeService(answer=replace(HELLO, usage=None)), limits) as (rig, key):
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 200
        chat = await post(rig.url + COMPLETIONS, ASKED, **key)
        anthropic = await post(f"{rig.url}/v1/messages", {**MESSAGES, "max_tokens": 100}, **key)
        google = await post(
            rig.url + GEMINI, {**GENERATE, "generationConfig": {"maxOutputTokens": 100}}, **key
        )
        alone = await post(rig.url + COMPLETIONS, {**ASKED, "max_tokens": 10_000}, **key)
        assert len(rig.service.asked) == 1
        change_limits(tmp_path / "keys.json", "ann", KeyLimits(usd=1))
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 200
    said = "the key ann has $0.0016 usd, of which $0.0011 are taken, and this request may take $0.0011"
    assert (chat[0], chat[2]["error"]["code"]) == (429, "insufficient_quota")
    assert said in chat[2]["error"]["message"]
    assert "'x-should-retry': 'false'" in chat[1]
    assert (anthropic[0], anthropic[2]["error"]["type"]) == (402, "billing_error")
    assert (google[0], google[2]["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "this request alone may take $0.10" in alone[2]["error"]["message"]


async def test_a_rate_says_when_to_ask_again(tmp_path: Path) -> None:
    limits = KeyLimits(requests_per_minute=1, tokens_per_minute=5_000)
    async with limited(tmp_path, FakeService(), limits) as (rig, key):
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 200
        status, headers, told = await post(rig.url + COMPLETIONS, ASKED, **key)
        never = await post(rig.url + COMPLETIONS, {**ASKED, "max_tokens": 6_000}, **key)
    assert (status, told["error"]["code"]) == (429, "rate_limit_exceeded")
    assert "'Retry-After': '60'" in headers or "'Retry-After': '5" in headers
    assert "1 requests per minute, of which 1 are taken" in told["error"]["message"]
    assert never[0] == 400
    assert "this request alone may take 6,0" in never[2]["error"]["message"]


async def test_what_cannot_be_bounded_is_refused_or_bounded(tmp_path: Path) -> None:
    unpriced = {"input_price": None, "output_price": None}
    async with limited(tmp_path, FakeService(), KeyLimits(tokens_per_day=50_000), **unpriced) as (rig, key):
        status, headers, _ = await post(rig.url + COMPLETIONS, CHAT, **key)
        assert (status, rig.service.body["max_tokens"]) == (200, 16_384)
        assert "at most 16,384 tokens" in headers
        google = {**GENERATE, "generationConfig": {"temperature": 0.5}}
        assert (await post(rig.url + GEMINI, google, **key))[0] == 200
        assert rig.service.body["max_tokens"] == 16_384
        several = await post(rig.url + COMPLETIONS, {**ASKED, "max_tokens": 10_000, "n": 6}, **key)
        images = await post(rig.url + COMPLETIONS, {**ASKED, "messages": [URI_IMAGE] * 7}, **key)
        searches = await post(rig.url + COMPLETIONS, {**ASKED, "web_search_options": {"a": 1}}, **key)
        assert (several[0], images[0], searches[0]) == (429, 429, 403)
        assert searches[2]["error"]["message"].startswith("$.web_search_options: nobody can say")
        change_limits(tmp_path / "keys.json", "ann", KeyLimits(usd=5))
        unknown = await post(rig.url + COMPLETIONS, ASKED, **key)
    assert (unknown[0], "no price is known" in unknown[2]["error"]["message"]) == (403, True)


@pytest.mark.parametrize(
    ("name", "body", "place"),
    [
        ("responses", {"previous_response_id": "r"}, "$.previous_response_id"),
        ("responses", {"tools": [{"type": "function"}, {"type": "web_search"}]}, "$.tools[1]"),
        ("chat", {"service_tier": "priority"}, "$.service_tier"),
        ("anthropic", {"tools": [{"name": "a"}, {"type": "bash_20250124"}]}, None),
        ("anthropic", {"tools": [{"type": "web_search_20250305"}]}, "$.tools[0]"),
        ("anthropic", {"tools": [{"type": ["x"]}]}, "$.tools[0]"),
        ("gemini", {"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}, "$.tools[1]"),
        ("gemini", {"generation_config": {"candidateCount": 9}}, "$.generation_config"),
        ("gemini", {"generationConfig": {"candidate_count": 9}}, "$.generationConfig.candidate_count"),
        ("gemini", {"generationConfig": {"maxOutputTokens": -1}}, "$.generationConfig.maxOutputTokens"),
        ("chat", {"max_tokens": -1, "max_completion_tokens": 5}, "$.max_tokens"),
        ("anthropic", {"max_tokens": 0}, "$.max_tokens"),
        ("responses", {"max_output_tokens": -(10**9)}, "$.max_output_tokens"),
        ("responses", {"input": [{"role": "user"}, {"type": "item_reference", "id": "i"}]}, "$.input[1]"),
        ("responses", {"input": [{"type": ["item_reference"]}], "max_output_tokens": 1}, None),
        ("anthropic", {"inference_geo": "us"}, "$.inference_geo"),
        ("chat", {"tools": "x", "service_tier": "auto"}, None),
    ],
)
def test_what_a_service_adds_by_itself_is_seen(name: Any, body: Any, place: str | None) -> None:
    assert unbounded(name, body) == place


def part_of(**part: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "see"}, part]}]}


def made_of(part: dict[str, Any]) -> dict[str, Any]:
    return {"type": "document", "source": {"type": "content", "content": [part]}}


@pytest.mark.parametrize(
    ("name", "body", "place"),
    [
        ("gemini", part_of(fileData={"mimeType": "video/mp4", "fileUri": "u"}), "$.contents[0].parts[1]"),
        ("gemini", part_of(file_data={"file_uri": "u"}), "$.contents[0].parts[1]"),
        ("gemini", part_of(fileData={"mimeType": "application/pdf", "fileUri": "u"}), None),
        ("gemini", part_of(inlineData={"mimeType": "video/mp4", "data": "AAAA"}), None),
        ("chat", {"messages": [{"content": [{"type": "video_url"}]}]}, "$.messages[0].content[0]"),
        (
            "anthropic",
            {"system": [{"source": {"type": "content", "content": [{"source": {}}]}}]},
            "$.system[0]",
        ),
        ("anthropic", {"system": [{"source": {"type": "content", "content": [{"text": "a"}]}}]}, None),
    ],
)
def test_what_may_be_of_any_length_is_seen(name: Any, body: Any, place: str | None) -> None:
    assert unbounded(name, body) == place


def test_each_model_has_its_own_price() -> None:
    given = {"model": "openai:gpt-5", "openai_api_key": SecretStr("k")}
    asked = make_gateway(load_settings(given)).providers
    prices = [asked.endpoint(ModelAddress("openai", name)).price for name in ("gpt-5", "gpt-5-mini", "new")]
    assert [price.input_usd for price in prices] == [1.25, 0.25, None]


def test_cached_and_written_tokens_have_their_prices() -> None:
    price, bound = Price(2.0, 10.0, 0.5), RequestBound(1_000, 100, surcharge=0.25)
    usage = WireUsage(1_000, 100, cached=400, written=200)
    # 600 fresh ones and a quarter of 200 at $2, 400 cached at $0.50, 100 made at $10.
    assert bound.cost(price, usage) == 650 * 2_000 + 400 * 500 + 100 * 10_000
    assert bound.asked(price) == KeyAmount(1_100, 1_250 * 2_000 + 100 * 10_000)


def test_a_day_ends_at_midnight_and_a_minute_after_sixty_seconds(tmp_path: Path) -> None:
    ledger = KeyLedger(tmp_path / "ledger")
    daily, minutely = KeyLimits(tokens_per_day=10), KeyLimits(tokens_per_minute=10, requests_per_minute=9)
    asked = KeyAmount(tokens=6)
    assert isinstance(ledger.take("a", daily, asked, NOON), int)
    assert isinstance(ledger.take("b", daily, asked, NOON), int)
    assert isinstance(ledger.take("a", daily, asked, NOON + 43_199), KeyRefused)
    assert isinstance(ledger.take("a", daily, asked, NOON + 43_200), int)
    first = ledger.take("c", minutely, asked, NOON)
    assert isinstance(first, int)
    ledger.take("c", minutely, KeyAmount(tokens=4), NOON + 10)
    refused = ledger.take("c", minutely, asked, NOON + 20)
    assert isinstance(refused, KeyRefused)
    assert (refused.hit.name, refused.frees_in) == ("tokens_per_minute", 40.0)
    ledger.settle(first, KeyAmount(tokens=0))
    assert isinstance(ledger.take("c", minutely, asked, NOON + 20), int)
    ledger.close()


def test_a_clock_that_was_ahead_holds_nobody_up(tmp_path: Path) -> None:
    ledger, minutely = KeyLedger(tmp_path / "ledger"), KeyLimits(requests_per_minute=1)
    assert isinstance(ledger.take("a", minutely, KeyAmount(), NOON + 86_400), int)
    assert isinstance(ledger.take("a", minutely, KeyAmount(), NOON), int)
    assert isinstance(ledger.take("a", minutely, KeyAmount(), NOON - 1), KeyRefused)
    ledger.close()


def test_the_dead_stay_charged_and_are_forgotten_after_a_day(tmp_path: Path) -> None:
    ledger = KeyLedger(tmp_path / "ledger")
    limits = KeyLimits(usd=1)
    died = ledger.take("a", limits, KeyAmount(10, 500), NOON)
    assert isinstance(died, int)
    assert ledger.spent("a", NOON + 3_600).open_nano_usd == 500
    for _ in range(200):
        number = ledger.take("a", limits, KeyAmount(1, 1), NOON + 90_000)
        assert isinstance(number, int)
        ledger.settle(number, KeyAmount())
        ledger.settle(number, KeyAmount(9, 9))
    spent = ledger.spent("a", NOON + 90_000)
    assert (spent.nano_usd, spent.open_requests) == (500, 0)
    ledger.settle(died, KeyAmount())
    assert ledger.spent("a", NOON).nano_usd == 500
    ledger.close()


Steps: TypeAlias = list[tuple[str, int, float, int]]
steps: st.SearchStrategy[Steps] = st.lists(
    st.tuples(
        st.sampled_from(["take", "settle", "lose"]),
        st.integers(0, 40),
        st.floats(0, 1),
        st.integers(0, 30_000),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_happens_nothing_is_overspent(tmp_path: Path, taken: Steps) -> None:
    limits = KeyLimits(usd=100 / 1e9, tokens_per_day=60, tokens_per_minute=50, requests_per_minute=4)
    key, now = f"k{time.perf_counter_ns()}", NOON
    two = [KeyLedger(tmp_path / "ledger") for _ in range(2)]
    took: dict[int, tuple[float, KeyAmount]] = {}
    open_ones: list[tuple[int, KeyAmount]] = []
    for step, amount, part, seconds in taken:
        ledger = two[amount % 2]
        if step == "take":
            asked = KeyAmount(amount, amount)
            number = ledger.take(key, limits, asked, now)
            if isinstance(number, int):
                open_ones.append((number, asked))
                took[number] = (now, asked)
        elif open_ones and step == "settle":
            number, asked = open_ones.pop(amount % len(open_ones))
            used = KeyAmount(int(asked.tokens * part), int(asked.nano_usd * part))
            ledger.settle(number, used)
            took[number] = (took[number][0], used)
        now += seconds / 100
        lasts = [one for at, one in took.values() if at > now - 60]
        assert sum(one.nano_usd for _, one in took.values()) <= 100
        assert sum(one.tokens for one in lasts) <= 50
        assert len(lasts) <= 4
    for ledger in two:
        ledger.close()


async def test_who_gives_up_while_the_ledger_is_busy_pays_nothing(tmp_path: Path) -> None:
    budgets = KeyBudgets(tmp_path / "ledger")
    limits, price, bound = KeyLimits(usd=1), Price(1.0, 1.0), RequestBound(10, 10)
    budgets.check()

    async def ask() -> None:
        async with budgets.charged("ann", limits, price, bound):
            raise AssertionError("nobody came so far")

    with closing(sqlite3.connect(tmp_path / "ledger")) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    async with budgets.charged("ann", limits, price, bound) as charge:
        charge.is_free = True
    budgets.close()
    ledger = KeyLedger(tmp_path / "ledger")
    spent = ledger.spent("ann", time.time())
    assert (spent.nano_usd, spent.requests_minute, spent.open_requests) == (0, 2, 0)
    ledger.close()


async def test_many_at_once_in_one_gateway_spend_what_there_is(tmp_path: Path) -> None:
    budgets = KeyBudgets(tmp_path / "ledger")
    limits, price, bound = KeyLimits(usd=105 / 1e9), Price(0.001, 0.0), RequestBound(10, 0)

    async def ask() -> bool:
        try:
            async with budgets.charged("ann", limits, price, bound):
                return True
        except OverKeyLimit:
            return False

    assert sum(await asyncio.gather(*(ask() for _ in range(50)))) == 10
    budgets.close()


def test_a_ledger_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(NotConfigured, match=f"the ledger of the gateway's keys {path} cannot be used"):
        KeyBudgets(path).check()


def test_limits_of_a_key_are_changed_and_its_file_is_as_before_without_any(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, "ann", (), None)
    assert sorted(json.loads(keys.read_text())["keys"][0]) == ["models", "name", "sha256"]
    before = read_keys(keys).keys[0]
    change_limits(keys, "ann", KeyLimits(usd=5, requests_per_minute=3))
    change_limits(keys, "ann", KeyLimits(usd=7))
    assert read_keys(keys).keys[0].limits == {"usd": 7, "requests_per_minute": 3}
    assert read_keys(keys).keys[0].sha256 == before.sha256
    with pytest.raises(InvalidInput, match="there is no key 'bob'"):
        change_limits(keys, "bob", KeyLimits(usd=7))


async def test_gateways_that_share_a_ledger_and_are_killed_overspend_nothing(tmp_path: Path) -> None:
    told = await race(Race(tmp_path, budget_usd=0.03, callers=6, gateways=2, kills=1))
    assert (told["overspent_usd"], told["killed"], told["refused"]) == (0, 1, 6)
    assert told["answered"] >= 15
    assert told["charged_usd"] >= told["billed_usd"] > 0.025
