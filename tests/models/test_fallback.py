"""Lists of models: who is asked when one cannot answer, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.loop.step import read_step
from contracts.base.errors import (
    ModelBlocked,
    ModelDenied,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    MultiAgentError,
    NotConfigured,
)
from contracts.messages.payloads import Usage
from contracts.ports.model import ModelResponse
from multi_agent.models import ModelSettings, build_model, check_service
from multi_agent.models.layers.fallback import Fallback
from multi_agent.models.layers.turns import AWAY_SECONDS, DENIED_SECONDS
from tests.models.rigs import asking, http_client, settings_for
from tests.models.test_tools import REQUEST, following, in_its_form
from tests.models.test_wrappers import Outcome, Scripted, Time
from tests.support.model_server import Blocked, HangUp, ModelServer, Received, Say, Status, Step


class Named(Scripted):
    """A scripted client with a name of its own."""

    def __init__(self, name: str, *outcomes: Outcome) -> None:
        super().__init__(*outcomes)
        self.name = name


def in_list(time: Time, **outcomes: tuple[Outcome, ...]) -> tuple[Fallback, list[Named]]:
    clients = [Named(name, *script) for name, script in outcomes.items()]
    return Fallback(clients, clock=time.clock), clients


@pytest.mark.parametrize(
    "error",
    [ModelUnavailable("away"), ModelBlocked("filter"), ModelDenied("no credit"), NotConfigured("host")],
)
async def test_the_next_one_answers_and_it_is_said(error: MultiAgentError) -> None:
    client, (first, second) = in_list(Time(), a=(error,), b=("fine",))
    answer = await client.complete(asking())
    assert (answer.text, answer.stand_in) == ("fine", "b")
    assert answer.usage.plus(answer.usage).stand_ins == {"b": 2}
    assert client.name == "a,b"
    await client.close()
    assert [first.closed, second.closed] == [True, True]


async def test_an_answer_of_the_first_is_as_ever() -> None:
    client, (_, second) = in_list(Time(), a=("fine",), b=())
    answer = await client.complete(asking())
    assert answer == ModelResponse("fine", "scripted")
    assert answer.usage == Usage(model_calls=1)
    assert "stand_ins" not in answer.usage.model_dump()
    assert second.calls == []


@pytest.mark.parametrize("error", [ModelRejected("too large"), ModelRefused("cut off")])
async def test_what_the_caller_must_change_goes_to_nobody_else(error: MultiAgentError) -> None:
    client, (_, second) = in_list(Time(), a=(error,), b=("never",))
    with pytest.raises(type(error)):
        await client.complete(asking())
    assert second.calls == []


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ModelUnavailable("away"), AWAY_SECONDS),
        (ModelUnavailable("busy", retry_after=7.0), 7.0),
        (ModelUnavailable("absurd", retry_after=86_400.0), 3_600.0),
        (ModelDenied("no credit"), DENIED_SECONDS),
        (ModelBlocked("filter"), 0.0),
    ],
)
async def test_one_that_was_away_is_tried_again_after_a_while(error: MultiAgentError, seconds: float) -> None:
    time = Time()
    client, (first, _) = in_list(time, a=(error, "back", "stays"), b=("b",) * 9)
    await client.complete(asking())
    if seconds:
        time.now += seconds - 0.1
        assert (await client.complete(asking())).stand_in == "b"
        assert len(first.calls) == 1, "not asked meanwhile"
        time.now += 0.1
    answers = [await client.complete(asking()) for _ in range(2)]
    assert [(one.text, one.stand_in) for one in answers] == [("back", ""), ("stays", "")]


async def test_one_that_was_away_is_better_than_none() -> None:
    client, _ = in_list(Time(), a=(ModelUnavailable("away"), "back"), b=("b", ModelUnavailable("away too")))
    assert (await client.complete(asking())).text == "b"
    assert (await client.complete(asking())).text == "back"


async def test_when_nobody_answers_all_reasons_are_said() -> None:
    away, busy = ModelUnavailable("a is away", 9.0), ModelUnavailable("b is busy", 4.0)
    client, _ = in_list(Time(), a=(away,), b=(busy,))
    with pytest.raises(ModelUnavailable, match="a is away; b is busy") as caught:
        await client.complete(asking())
    assert caught.value.retry_after == 4.0
    client, _ = in_list(Time(), a=(ModelBlocked("a blocks"),), b=(away,))
    with pytest.raises(ModelUnavailable, match="a blocks; a is away"):
        await client.complete(asking())
    client, _ = in_list(Time(), a=(ModelBlocked("a blocks"),), b=(ModelDenied("b wants money"),))
    with pytest.raises(ModelBlocked, match="a blocks; b wants money"):
        await client.complete(asking())


def listed(server: ModelServer, spec: str, **changes: Any) -> ModelSettings:
    return settings_for("openai", server, spec=spec, **changes)


def first_fails(step: Step) -> Callable[[Received], Step]:
    """Whoever is asked for `one` meets this."""
    return lambda received: step if _asked_for(received) == "one" else Say("from the other")


def _asked_for(received: Received) -> str:
    return str(received.body.get("model") or received.path.rpartition("/")[2].partition(":")[0])


OTHERS = [("openai", "anthropic"), ("anthropic", "gemini"), ("gemini", "openai")]


@pytest.mark.parametrize(
    ("pair", "step", "times"),
    [
        (0, Status(503, headers={"Retry-After": "30"}), 1),
        (1, Status(429, headers={"Retry-After": "0"}), 2),
        (0, HangUp(), 2),
        *((pair, Blocked(), 1) for pair in range(3)),
        (2, Say("half", finish="content_filter"), 1),
        (1, Status(402), 1),
        (2, Status(401), 1),
        (0, Status(404), 1),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_services(pair: int, step: Step, times: int) -> None:
    """A short outage is waited for, a longer one is not."""
    kind, other = OTHERS[pair]
    with ModelServer(first_fails(step)) as server:
        settings = listed(server, f"{kind}:one,{other}:two", max_attempts=3)
        client = build_model(settings)
        answer = await client.complete(asking())
        await client.close()
    assert (answer.text, answer.stand_in) == ("from the other", f"{other}:two")
    assert answer.model
    assert [_asked_for(one) for one in server.requests] == ["one"] * times + ["two"]


@pytest.mark.parametrize("step", [Status(400), Status(413), Say("half", finish="length"), Say("")], ids=str)
async def test_services_of_requests_at_fault(step: Step) -> None:
    with ModelServer(first_fails(step)) as server:
        async with http_client("openai", server, spec="openai:one,openai:two") as client:
            with pytest.raises((ModelRejected, ModelRefused)):
                await client.complete(asking())
    assert {_asked_for(one) for one in server.requests} == {"one"}


async def test_an_ended_quota_by_its_name() -> None:
    with ModelServer(first_fails(Status(429, name="insufficient_quota"))) as server:
        async with http_client("openai", server, spec="openai:one,openai:two") as client:
            assert (await client.complete(asking())).stand_in == "openai:two"
    assert len(server.requests) == 2


@pytest.mark.parametrize(("kind", "other"), [*OTHERS, *((other, kind) for kind, other in OTHERS)])
async def test_a_conversation_with_tools_goes_on_at_another_service(kind: str, other: str) -> None:
    """A strict server: the calls of one are sent to the other as that one wants them."""

    def answer(received: Received) -> Step:
        is_first = len(received.body.get("messages") or received.body.get("contents")) < 3
        return in_its_form(received) if is_first or _asked_for(received) == "two" else Status(503)

    with ModelServer(answer) as server:
        async with http_client(kind, server, spec=f"{kind}:one,{other}:two") as client:
            first = await client.complete(REQUEST)
            second = await client.complete(following(await read_step(first, 1)))
    assert (first.stand_in, second.stand_in) == ("", f"{other}:two")
    assert [call.name for call in (await read_step(second, 2)).calls] == ["finish"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("openai:one,", "model '' in the list"),
        ("openai:one,two", "model 'two' in the list 'openai:one,two' is no SERVICE:MODEL"),
        ("openai:one,replay", "model 'replay' in the list"),
        ("openai:one, openai:one", "stands twice in the list"),
    ],
)
def test_what_is_no_list(spec: str, said: str) -> None:
    with ModelServer([]) as server, pytest.raises(NotConfigured, match=said):
        build_model(listed(server, spec))


def test_folders_may_have_commas(tmp_path: Path) -> None:
    assert build_model(ModelSettings(spec=f"manual:{tmp_path / 'a,b'}")).name == "manual"


def test_a_key_that_is_missing_is_told_of_every_model() -> None:
    with ModelServer([]) as server, pytest.raises(NotConfigured, match="gemini:two needs an API key"):
        build_model(listed(server, "openai:one,gemini:two", gemini_api_key=None))


async def test_at_the_start_one_that_can_be_asked_is_enough(tmp_path: Path) -> None:
    with ExitStack() as stack:
        knows, denies = (stack.enter_context(ModelServer([], about_models=code)) for code in (200, 401))
        with ModelServer([]) as gone:
            pass
        spec = "openai:one,anthropic:two,gemini:three"
        urls = {"openai_base_url": knows.openai_url, "anthropic_base_url": denies.url}
        settings = replace(listed(knows, spec, **urls), gemini_base_url=gone.url)
        denied, away = await check_service(settings)
        assert denied.startswith("model anthropic:two: HTTP 401, the API key is missing or wrong")
        assert "gemini:three" in away
        assert "connection refused" in away
        recorded = replace(settings, spec=f"record:{tmp_path / 'kept'}:{spec}")
        assert len(await check_service(recorded)) == 2
        with pytest.raises(NotConfigured, match="anthropic:two"):
            await check_service(replace(settings, spec="anthropic:two,gemini:three"))


def test_more_names_than_a_message_may_carry_are_left_out() -> None:
    many = [Usage(model_calls=1, stand_ins={f"m{number}": number}) for number in range(1, 30)]
    total = Usage()
    for one in many:
        total = total.plus(one)
    assert total.stand_ins is not None
    assert (len(total.stand_ins), total.stand_ins["m29"]) == (20, 29)
