"""Requests that fail before their first byte: asked again, then of the next model of a list."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from contracts.base.errors import NotConfigured
from multi_agent.gateway.budgets.limits import KeyLimits
from multi_agent.gateway.records.store import RecordFilter, read_records
from multi_agent.gateway.routes import ModelAddress, make_routes
from multi_agent.models.layers.turns import ModelTurns
from tests.gateway.fake_service import FakeService
from tests.gateway.rigs import gateway_over
from tests.gateway.test_budgets import ASKED, COMPLETIONS, HELLO_COSTS, IN_FULL, limited, spent_in
from tests.gateway.test_gateway import CHAT, events_of, post

TWO = "openai:first,anthropic:second"


def models_asked(service: FakeService) -> list[str]:
    return [body["model"] for _, _, body in service.asked]


@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_a_failed_try_is_followed_by_another_which_is_said(status: int) -> None:
    with capture_logs() as logs:
        async with gateway_over(FakeService(fails={"up-model": [status]})) as rig:
            told, _, body = await post(rig.url + COMPLETIONS, CHAT)
            events = await events_of(rig.url + COMPLETIONS, {**CHAT, "stream": True})
    assert (told, body["choices"][0]["message"]["content"]) == (200, "Hello, world.")
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert [log["model"] for log in logs if log["event"] == "gateway_retry"] == ["openai:up-model"]


async def test_the_next_of_a_list_answers_in_its_own_format_and_stays_first_for_a_while() -> None:
    service = FakeService(fails={"first": [503, 503]})
    with capture_logs() as logs:
        async with gateway_over(service, model=TWO) as rig:
            assert (await post(rig.url + COMPLETIONS, CHAT))[0] == 200
            events = await events_of(rig.url + COMPLETIONS, {**CHAT, "stream": True})
    assert models_asked(service) == ["first", "first", "second", "second"]
    assert [path for path, _, _ in service.asked][-1] == "/v1/messages"
    assert "world" in str(events)
    (passed,) = (log for log in logs if log["event"] == "gateway_passed_over")
    assert (passed["model"], passed["failure"], passed["asked_last_seconds"]) == (
        "openai:first",
        "overloaded",
        60,
    )


@pytest.mark.parametrize(
    ("status", "asked", "told"),
    [
        (400, ["first"], 400),  # of the request, which another would refuse too
        (401, ["first", "second"], 200),
        (402, ["first", "second"], 200),
        (404, ["first", "second"], 200),
    ],
)
async def test_what_a_service_refuses_to_the_gateway_is_asked_of_another(
    status: int, asked: list[str], told: int
) -> None:
    service = FakeService(fails={"first": [status]})
    async with gateway_over(service, model=TWO) as rig:
        assert (await post(rig.url + COMPLETIONS, CHAT))[0] == told
    assert models_asked(service) == asked


async def test_when_none_answers_the_caller_is_told_of_what_may_pass() -> None:
    service = FakeService(fails={"first": [401], "second": [429]}, headers={"Retry-After": "9"})
    async with gateway_over(service, model=TWO) as rig:
        status, headers, told = await post(rig.url + COMPLETIONS, CHAT)
    assert models_asked(service) == ["first", "second"], "nobody waits nine seconds here"
    assert (status, told["error"]["type"]) == (429, "requests")
    assert "'Retry-After': '9'" in headers


async def test_what_the_format_of_another_cannot_say_is_told_as_what_the_first_said() -> None:
    service = FakeService(fails={"first": [503, 503]})
    video = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://x.example/a"}}]}
    async with gateway_over(service, model=TWO) as rig:
        status, _, told = await post(rig.url + COMPLETIONS, {**CHAT, "messages": [video]})
    assert (status, told["error"]["message"]) == (
        503,
        "openai:first: answered with status 503, and gave no reason",
    )
    assert models_asked(service) == ["first", "first"]


async def test_each_try_is_charged_by_itself(tmp_path: Path) -> None:
    service = FakeService(breaks=True)
    async with limited(tmp_path, service, KeyLimits(usd=2.5 * IN_FULL / 1e9)) as (rig, key):
        # Half an answer costs all that was set aside, and so does the second half.
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 500
        service.breaks = False
        status, _, told = await post(rig.url + COMPLETIONS, ASKED, **key)
    assert (status, "and this request may take" in told["error"]["message"]) == (429, True)
    assert spent_in(tmp_path).nano_usd == 2 * IN_FULL
    (failed, refused) = (one.record for one in read_records(_log(tmp_path), RecordFilter()))
    assert (failed.tries, failed.outcome, refused.tries) == (2, "server", 0)


async def test_a_try_that_the_key_does_not_bear_is_not_made(tmp_path: Path) -> None:
    service = FakeService(breaks=True)
    async with limited(tmp_path, service, KeyLimits(usd=1.5 * IN_FULL / 1e9)) as (rig, key):
        status, _, told = await post(rig.url + COMPLETIONS, ASKED, **key)
    assert (status, "broke off" in told["error"]["message"]) == (500, True)
    assert len(service.asked) == 1
    assert spent_in(tmp_path).nano_usd == IN_FULL


async def test_free_tries_leave_what_the_answer_took(tmp_path: Path) -> None:
    service = FakeService(fails={"up-model": [429]})
    async with limited(tmp_path, service, KeyLimits(usd=1)) as (rig, key):
        assert (await post(rig.url + COMPLETIONS, ASKED, **key))[0] == 200
    assert spent_in(tmp_path).nano_usd == HELLO_COSTS


async def test_a_stream_that_has_begun_is_not_asked_again() -> None:
    service = FakeService(breaks=True)
    async with gateway_over(service, of="anthropic", model="anthropic:first,openai:second") as rig:
        events = await events_of(rig.url + COMPLETIONS, {**CHAT, "stream": True})
    assert models_asked(service) == ["first"]
    assert "error" in events[-1]


async def test_who_hangs_up_while_it_waits_is_asked_for_no_more() -> None:
    service = FakeService(fails={"up-model": [429]}, headers={"Retry-After": "4"})
    async with gateway_over(service) as rig, ClientSession() as session:
        asking = asyncio.create_task(session.post(rig.url + COMPLETIONS, json=CHAT))
        await service.was_asked.wait()
        asking.cancel()
    assert len(service.asked) == 1, "the gateway ends when nothing is under way any more"


def test_lists_are_read_wherever_a_model_is_named() -> None:
    routes = make_routes(
        ["a=openai:one", "gemini:two", "b=openai:three"], {"big": "anthropic:x,openai:*"}, "gemini:four"
    )
    one, two = ModelAddress("openai", "one"), ModelAddress("gemini", "two")
    assert routes.find("a") == (one, two)
    assert routes.find("b") == (ModelAddress("openai", "three"),)
    assert routes.find("my-opus") == (ModelAddress("anthropic", "x"), ModelAddress("openai", "my-opus"))
    assert routes.services == ("openai", "gemini", "anthropic")
    (once,) = make_routes([], {}, "openai:*,openai:five").find("five")
    assert once == ModelAddress("openai", "five")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (["a=openai:one", "openai:one"], "twice"),
        (["a=openai:one", "nonsense"], "cannot be asked"),
        (["openai:one"], "PATTERN"),
    ],
)
def test_a_list_that_cannot_be_is_refused(rules: list[str], said: str) -> None:
    with pytest.raises(NotConfigured, match=said):
        make_routes(rules, {}, None)


def test_names_that_callers_choose_fill_no_memory() -> None:
    turns = ModelTurns()
    for number in range(3_000):
        turns.note_away(f"m{number}", 60)
    assert len(turns.away) <= 1_000
    assert "m2999" in turns.away


def _log(folder: Path) -> Path:
    return folder / "data" / "gateway" / "requests.db"
