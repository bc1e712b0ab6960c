"""What answers cost, by lists with a date or by settings."""

from __future__ import annotations

import datetime
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from multi_agent.models import ModelSettings, price_lines, prices, unpriced
from multi_agent.models.prices import Price, listed_price
from multi_agent.models.services import SERVICES, price_of
from tests.models.rigs import asking, http_client
from tests.support.model_server import ModelServer, Raw

KEYED = ModelSettings(
    openai_api_key=SecretStr("k"), gemini_api_key=SecretStr("k"), spec="gemini:gemini-2.5-pro"
)


def test_the_list_is_data_with_a_date() -> None:
    listed = tomllib.loads(Path(prices.__file__).with_name("prices.toml").read_text())
    assert isinstance(listed.pop("as_of"), datetime.date)
    assert set(listed) < set(SERVICES)
    for service, models in listed.items():
        for name in models:
            price = listed_price(service, name)
            assert price.is_known
            assert 0 < (price.cached_usd or 0) < (price.input_usd or 0) < (price.output_usd or 0)
            assert price.as_of


@pytest.mark.parametrize(
    ("service", "model", "known"),
    [
        ("anthropic", "claude-haiku-4-5", True),
        ("anthropic", "claude-haiku-4-5-20251001", True),
        ("openai", "gpt-4.1-2025-04-14", True),
        ("gemini", "models/gemini-2.5-pro", True),
        ("gemini-legacy", "gemini-2.5-pro", True),
        ("openai", "gpt-4.1-nanos", False),
        ("gemini", "gpt-4.1", False),
        ("anthropic", "*", False),
    ],
)
def test_names(service: str, model: str, known: bool) -> None:
    assert listed_price(service, model).is_known == known


def test_a_long_request_has_its_own_price() -> None:
    price = Price(1.0, 10.0, 0.1, 2.0, 15.0)
    assert price.cost(200_000, 100_000, 100_000) == pytest.approx(0.1 + 0.01 + 1.0)
    assert price.cost(300_000, 100_000, 100_000) == pytest.approx(0.4 + 0.02 + 1.5)
    assert Price(1.0, 10.0).cost(300_000, 100_000) == pytest.approx(1.3)


def test_settings_win_and_another_address_is_another_service() -> None:
    assert price_of(KEYED, "openai", "gpt-4.1").input_usd == 2.0
    said = replace(KEYED, input_usd_per_million=7.0)
    assert price_of(said, "openai", "gpt-4.1") == Price(7.0)
    near = replace(KEYED, openai_base_url="http://127.0.0.1:1/v1")
    assert price_of(near, "openai", "gpt-4.1") == Price()


def test_what_is_said_of_prices() -> None:
    [line] = price_lines(KEYED)
    assert line.startswith("gemini:gemini-2.5-pro: $1.25 in, $10 out per million tokens, listed 20")
    both = price_lines(replace(KEYED, spec="openai:gpt-4.1,openai:nobody"))
    assert both[1] == "openai:nobody: price unknown"
    assert price_lines(replace(KEYED, spec="replay")) == ()


def test_a_cost_that_is_not_whole_is_said_to_be() -> None:
    assert unpriced(replace(KEYED, spec="openai:gpt-4.1,openai:nobody")) == ("openai:nobody",)
    assert unpriced(replace(KEYED, spec="openai:nobody,openai:none")) == ()
    assert unpriced(KEYED) == ()


@pytest.mark.parametrize(("total", "made"), [(120, 20), (170, 70), (0, 20), (None, 20)])
async def test_thoughts_that_are_counted_in_the_total_alone(total: int | None, made: int) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": total}
    body = {"choices": [{"message": {"content": "ok"}}], "usage": usage}
    with ModelServer([Raw(json.dumps(body).encode())]) as server:
        async with http_client("openai", server, output_usd_per_million=1.0) as client:
            answer = await client.complete(asking())
    assert (answer.input_tokens, answer.output_tokens) == (100, made)
    assert answer.cost_usd == pytest.approx(made / 1_000_000)
