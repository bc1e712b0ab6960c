"""Faults of a model service, through the real SDKs against a local server."""

from __future__ import annotations

import gzip
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from contracts.base.errors import ModelRefused, ModelRejected, ModelUnavailable
from tests.models.rigs import CANARY, HTTP_KINDS, asking, http_client
from tests.support.model_server import (
    Blocked,
    HangUp,
    Huge,
    ModelServer,
    Raw,
    Say,
    Stall,
    Status,
    Step,
)

every_service = pytest.mark.parametrize("kind", HTTP_KINDS)
gemini_services = pytest.mark.parametrize("kind", ["gemini", "gemini-legacy"])

UNAVAILABLE: list[Step] = [
    Status(408),
    Status(409),
    Status(429),
    Status(500),
    Status(503),
    Status(529),
    HangUp(),
    Raw(b'{"choices": [', announced=500),
    Raw(b"{nope"),
    Raw(b"<html>Please log in</html>", content_type="text/html"),
]


async def failure(kind: str, steps: list[Step], **changes: Any) -> BaseException:
    with ModelServer(steps) as server:
        async with http_client(kind, server, **changes) as client:
            with pytest.raises((ModelUnavailable, ModelRejected, ModelRefused)) as caught:
                await client.complete(asking())
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in str(error)
    return error


@every_service
@pytest.mark.parametrize("step", UNAVAILABLE, ids=lambda step: str(step)[:40])
async def test_worth_another_try(kind: str, step: Step) -> None:
    assert isinstance(await failure(kind, [step]), ModelUnavailable)


@every_service
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (400, "invalid"),
        (401, "API key is missing or wrong"),
        (403, "may not use this model"),
        (404, "no such model or address"),
        (413, "too large"),
        (418, "does not accept"),
    ],
)
async def test_not_worth_another_try(kind: str, code: int, advice: str) -> None:
    error = await failure(kind, [Status(code, f"no, {CANARY} will not do")], max_attempts=3)
    assert isinstance(error, ModelRejected)
    assert f"model {kind}:the-model: HTTP {code}" in str(error)
    assert advice in str(error)


@every_service
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Blocked(), r"blocked|refused"),
        (Say("half", finish="content_filter"), "blocked"),
        (Say("half", finish="length"), "cut off"),
        (Say(""), "empty"),
    ],
    ids=str,
)
async def test_unusable_answers(kind: str, step: Step, said: str) -> None:
    error = await failure(kind, [step])
    assert isinstance(error, ModelRefused)
    assert re.search(said, str(error))


@every_service
@pytest.mark.parametrize("announced", [True, False])
async def test_fifty_megabytes(kind: str, announced: bool) -> None:
    error = await failure(kind, [Huge(50, announced)])
    assert isinstance(error, ModelRefused)
    assert "8,100,000 bytes" in str(error)


@every_service
async def test_more_text_than_allowed_in_a_body_of_allowed_size(kind: str) -> None:
    error = await failure(kind, [Say("x" * 2_000)], max_answer_bytes=1_000)
    assert isinstance(error, ModelRefused)
    assert "2,000 bytes, the limit is 1,000" in str(error)


@every_service
@pytest.mark.parametrize("step", [Stall(), Raw(b" " * 500 + b"{}", drip=True)], ids=["stall", "drip"])
async def test_no_answer_in_time(kind: str, step: Step) -> None:
    began = time.monotonic()
    error = await failure(kind, [step], timeout_seconds=0.5)
    assert isinstance(error, ModelUnavailable)
    assert "no answer within 0.5 s" in str(error)
    assert time.monotonic() - began < 20  # the drip alone would take 25 s


@pytest.mark.parametrize("kind", ["openai", "gemini"])
async def test_compression_bomb(kind: str) -> None:
    step = Raw(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
    assert "compressed" in str(await failure(kind, [step]))


async def test_compression_bomb_for_the_older_sdk() -> None:
    step = Raw(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
    assert isinstance(await failure("gemini-legacy", [step]), ModelRefused)


@every_service
async def test_nobody_listens(kind: str) -> None:
    with ModelServer([]) as server:
        pass
    async with http_client(kind, server) as client:
        with pytest.raises(ModelUnavailable, match=r"at 127\.0\.0\.1:\d+"):
            await client.complete(asking())


@every_service
@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "0.5"}, 0.5, 0.5),
        ({"Retry-After": "-3"}, 0, 0),
        ({"Retry-After": "1e12"}, 86_400, 86_400),
        ({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1))}, 3_000, 3_600),
    ],
    ids=["seconds", "a fraction", "negative", "absurd", "a date"],
)
async def test_retry_after(kind: str, headers: dict[str, str], low: float, high: float) -> None:
    error = await failure(kind, [Status(429, headers=headers)])
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after is not None
    assert low <= error.retry_after <= high


@every_service
@pytest.mark.parametrize("value", ["soon", "nan", ""])
async def test_useless_retry_after(kind: str, value: str) -> None:
    error = await failure(kind, [Status(503, headers={"Retry-After": value})])
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after is None


@gemini_services
async def test_retry_delay_in_the_body(kind: str) -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9.5s"}
    error = await failure(kind, [Status(429, details=(detail,))])
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after == 9.5


@every_service
async def test_tries_again_and_asks_once_per_try(kind: str) -> None:
    steps: list[Step] = [Status(503, headers={"Retry-After": "0"}), Say("late")]
    with ModelServer(steps) as server:
        async with http_client(kind, server, max_attempts=2) as client:
            assert (await client.complete(asking())).text == "late"
            assert (await client.complete(asking())).text == "late"
    assert len(server.requests) == 2
