"""The layer that asks no more of a model than may be spent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

import pytest

from contracts.base.errors import ModelError, ModelUnavailable, NotConfigured
from contracts.messages.budget import NOTHING, Amount, SpendingLimits
from contracts.messages.suspension import Suspended
from contracts.ports.model import PURSE, ModelMessage, ModelRequest, ModelTool
from multi_agent.application.spending.budgets import PlanningPurse
from multi_agent.models.build import check_price
from multi_agent.models.layers.budgeted import Bound
from multi_agent.models.prices import Price
from multi_agent.models.specification import ModelSettings
from tests.agents.owner import until
from tests.models.rigs import asking, http_client
from tests.support.model_server import HangUp, ModelServer, Say, Stall, Status, Step

PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 10.0}
BOUND = Bound(Price(1.0, 10.0)).of(asking())
USED = Amount(micro_usd=11 + 70, tokens=18)


@contextmanager
def purse(usd: float | None = 100.0, tokens: int | None = None) -> Iterator[PlanningPurse]:
    made = PlanningPurse(SpendingLimits.of(usd, tokens))
    token = PURSE.set(made)
    try:
        yield made
    finally:
        PURSE.reset(token)


def test_a_bound_counts_every_byte_and_the_longest_answer() -> None:
    tool = ModelTool("read", "é" * 500, {"type": "object"})
    request = ModelRequest("p", "s" * 300, (ModelMessage("user", "☃" * 1_000),), tools=(tool,))
    bound = Bound(Price(2.0, 30.0, cached_usd=5.0)).of(request)
    sent = 300 + 3_000 + 1_000
    assert bound.tokens >= sent + request.max_output_tokens
    assert bound.micro_usd == ceil((bound.tokens - 16_384) * 5.0 + 16_384 * 30.0)
    assert Bound(Price(), max_output_tokens=50_000).of(request).tokens > 50_000


@pytest.mark.parametrize("kind", ["openai", "gemini", "gemini-legacy", "anthropic"])
async def test_a_try_is_settled_by_what_the_service_counts(kind: str) -> None:
    with ModelServer([Say("hello")]) as server, purse() as mine:
        async with http_client(kind, server, **PRICES) as client:
            await client.complete(asking())
    assert mine.spent == USED


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Say("x", input_tokens=0, output_tokens=0), BOUND),
        (Say("x", finish="content_filter"), BOUND),
        (HangUp(), BOUND),
        (Stall(), BOUND),
        (Status(502), BOUND),
        (Status(429), NOTHING),
        (Status(503), NOTHING),
        (Status(401), NOTHING),
    ],
)
async def test_what_was_not_counted_costs_all_of_it_unless_it_was_not_taken(
    step: Step, expected: Amount
) -> None:
    more: dict[str, Any] = {**PRICES, "timeout_seconds": 0.5} if isinstance(step, Stall) else {**PRICES}
    with ModelServer([step]) as server, purse() as mine:
        async with http_client("openai", server, **more) as client:
            try:
                await client.complete(asking())
            except (ModelError, ModelUnavailable):
                assert step != Say("x", input_tokens=0, output_tokens=0)
    assert mine.spent == expected


async def test_a_connection_that_was_refused_costs_nothing() -> None:
    with ModelServer([]) as server:
        pass
    with purse() as mine:
        async with http_client("openai", server, **PRICES) as client:
            with pytest.raises(ModelUnavailable):
                await client.complete(asking())
    assert mine.spent == NOTHING


async def test_each_try_is_reserved_and_one_that_is_cancelled_costs_all() -> None:
    with ModelServer([Status(502), Stall()]) as server, purse() as mine:
        async with http_client("openai", server, **PRICES, max_attempts=2) as client:
            asked = asyncio.create_task(client.complete(asking()))
            await until(lambda: len(server.requests) == 2)
            asked.cancel()
            await asyncio.wait([asked])
    assert mine.spent == BOUND.plus(BOUND)


async def test_nothing_is_sent_that_the_allowance_does_not_bear() -> None:
    with ModelServer([Say("hello")]) as server, purse(BOUND.usd + USED.usd - 1e-6):
        async with http_client("openai", server, **PRICES) as client:
            await client.complete(asking())
            with pytest.raises(Suspended) as caught:
                await client.complete(asking("write another"))
            assert await client.complete(asking()), "what was answered is kept, and free"
    assert caught.value.suspension.budget is not None
    assert len(server.requests) == 1


async def test_two_purses_pay_for_themselves() -> None:
    with ModelServer([Say("hello"), Say("hello")]) as server:
        async with http_client("openai", server, **PRICES) as client:

            async def ask(usd: float) -> str:
                with purse(usd):
                    return (await client.complete(asking())).text

            poor, rich = await asyncio.gather(
                asyncio.create_task(ask(0.000001)), asyncio.create_task(ask(1.0)), return_exceptions=True
            )
    assert isinstance(poor, Suspended)
    assert rich == "hello"


async def test_money_needs_prices_and_tokens_do_not() -> None:
    with ModelServer([Say("hello")]) as server:
        async with http_client("openai", server) as client:
            with purse(), pytest.raises(NotConfigured, match="MULTI_AGENT_INPUT_PRICE and"):
                await client.complete(asking())
            with purse(None, BOUND.tokens) as mine:
                await client.complete(asking())
            assert mine.spent.tokens == 18
    assert len(server.requests) == 1


def test_the_price_of_a_service_must_be_known_and_others_have_none() -> None:
    for spec in ("openai:m", "record:here:gemini:m"):
        with pytest.raises(NotConfigured, match="give a budget in tokens"):
            check_price(ModelSettings(spec=spec))
        check_price(ModelSettings(spec=spec, input_usd_per_million=0, output_usd_per_million=0))
    for spec in ("replay", "manual:chat", "record:here:manual:chat"):
        check_price(ModelSettings(spec=spec))
