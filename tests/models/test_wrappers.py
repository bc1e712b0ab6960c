from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from contracts.base.errors import ModelBlocked, ModelRefused, ModelRejected, ModelUnavailable, MultiAgentError
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.rates import Rates
from multi_agent.models.layers.bounds import Bounded
from multi_agent.models.layers.cache import Cached
from multi_agent.models.layers.measured import Measured
from multi_agent.models.layers.rate_limit import LocalWindow, RateLimited
from multi_agent.models.layers.retry import Retrying, RetryPolicy
from tests.models.rigs import asking

Outcome = str | MultiAgentError


class Scripted:
    """Gives its outcomes in order; with a gate, each call waits for it."""

    name = "scripted"

    def __init__(self, *outcomes: Outcome, gate: asyncio.Event | None = None) -> None:
        self.outcomes = list(outcomes)
        self.gate = gate
        self.calls: list[str] = []
        self.cancelled = 0
        self.closed = False

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.calls.append(request.messages[-1].text)
        if self.gate:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, str):
            return ModelResponse(outcome, "scripted")
        raise outcome

    async def close(self) -> None:
        self.closed = True


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def retrying(
    inner: Scripted, time: Time, jitter: Callable[[], float] = lambda: 0.0, **policy: float
) -> Retrying:
    return Retrying(
        inner,
        RetryPolicy(**policy),  # type: ignore[arg-type]  # max_attempts is given as an int
        sleep=time.sleep,
        clock=time.clock,
        jitter=jitter,
    )


async def test_retry_waits_longer_each_time() -> None:
    time, inner = Time(), Scripted(*[ModelUnavailable("busy") for _ in range(4)], "done")
    assert (await retrying(inner, time).complete(asking())).text == "done"
    assert time.slept == [0.5, 1.0, 2.0, 4.0]


async def test_half_of_the_wait_is_random_and_it_has_a_ceiling() -> None:
    time, inner = Time(), Scripted(*[ModelUnavailable("busy") for _ in range(8)], "done")
    await retrying(inner, time, lambda: 1.0, max_attempts=9).complete(asking())
    assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


async def test_never_earlier_than_the_service_asks() -> None:
    time, inner = Time(), Scripted(ModelUnavailable("busy", retry_after=42.0), "done")
    await retrying(inner, time, lambda: 0.5).complete(asking())
    assert time.slept == [42.25]


async def test_attempts_are_bounded() -> None:
    time, inner = Time(), Scripted(*[ModelUnavailable(f"busy {number}") for number in range(9)])
    with pytest.raises(ModelUnavailable, match="busy 2"):
        await retrying(inner, time, max_attempts=3).complete(asking())
    assert len(inner.calls) == 3


async def test_time_is_bounded_and_the_caller_learns_when_to_come_back() -> None:
    time, inner = Time(), Scripted(ModelUnavailable("busy", retry_after=600.0))
    with pytest.raises(ModelUnavailable) as caught:
        await retrying(inner, time, total_seconds=300.0).complete(asking())
    assert caught.value.retry_after == 600.0
    assert time.slept == []


@pytest.mark.parametrize("error", [ModelRefused("cut"), ModelRejected("key")])
async def test_nothing_else_is_tried_again(error: MultiAgentError) -> None:
    inner = Scripted(error, "never")
    with pytest.raises(type(error)):
        await retrying(inner, Time()).complete(asking())
    assert len(inner.calls) == 1


async def test_rate_limit_counts_any_sixty_seconds() -> None:
    time, inner = Time(), Scripted(*"abcdefg")
    client = RateLimited(inner, LocalWindow(Rates(3), clock=time.clock), sleep=time.sleep)
    starts = []
    for number in range(7):
        await client.complete(asking(str(number)))
        starts.append(time.now - 1000.0)
        time.now += 10.0
    assert starts == [0.0, 10.0, 20.0, 60.0, 70.0, 80.0, 120.0]


async def test_rate_limit_keeps_the_order_of_waiters() -> None:
    time, inner = Time(), Scripted(*"abcd")
    client = RateLimited(inner, LocalWindow(Rates(1), clock=time.clock), sleep=time.sleep)
    await asyncio.gather(*(client.complete(asking(str(number))) for number in range(4)))
    assert inner.calls == ["0", "1", "2", "3"]
    assert time.now == 1180.0


async def test_whoever_the_service_asks_to_wait_makes_all_wait() -> None:
    """None of them asks meanwhile, and waiting is no attempt."""
    time, inner = Time(), Scripted(ModelUnavailable("busy", retry_after=20.0), "late", "later")
    client = retrying(inner, time, lambda: 0.5, max_attempts=1)
    with pytest.raises(ModelUnavailable):
        await client.complete(asking("first"))
    assert (await client.complete(asking("second"))).text == "late"
    assert time.slept == [20.5]
    assert (await client.complete(asking("third"))).text == "later"
    assert time.slept == [20.5]


async def test_a_pause_that_is_too_long_is_said_at_once() -> None:
    time, inner = Time(), Scripted(ModelUnavailable("busy", retry_after=600.0))
    client = retrying(inner, time)
    for _ in range(2):
        with pytest.raises(ModelUnavailable) as caught:
            await client.complete(asking())
        assert caught.value.retry_after == 600.0
    assert len(inner.calls) == 1
    assert str(caught.value) == "model scripted: its service asks to wait 600 s"


async def test_cache_asks_once() -> None:
    inner = Scripted("one", "two")
    client = Cached(inner)
    first, second = await client.complete(asking("a")), await client.complete(asking("a"))
    assert first == second
    assert (await client.complete(asking("b"))).text == "two"
    assert inner.calls == ["a", "b"]


async def test_identical_requests_at_one_time_share_one_call() -> None:
    gate = asyncio.Event()
    inner = Scripted("one", gate=gate)
    client = Cached(inner)
    tasks = [asyncio.create_task(client.complete(asking())) for _ in range(5)]
    await settle()
    tasks[0].cancel()
    await settle()
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [outcome.text for outcome in outcomes[1:] if isinstance(outcome, ModelResponse)] == ["one"] * 4
    assert len(inner.calls) == 1


async def test_a_call_that_nobody_waits_for_is_cancelled() -> None:
    gate = asyncio.Event()
    inner = Scripted("one", gate=gate)
    client = Cached(inner)
    task = asyncio.create_task(client.complete(asking()))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inner.cancelled == 1
    gate.set()
    assert (await client.complete(asking())).text == "one"


async def test_errors_are_shared_but_not_kept() -> None:
    inner = Scripted(ModelUnavailable("busy"), "done")
    client = Cached(inner)
    both = await asyncio.gather(client.complete(asking()), client.complete(asking()), return_exceptions=True)
    assert [type(outcome) for outcome in both] == [ModelUnavailable, ModelUnavailable]
    assert (await client.complete(asking())).text == "done"


async def test_an_answer_that_is_no_document_is_not_kept_when_one_was_asked_for() -> None:
    inner = Scripted("sorry", '{"a": 1}')
    client = Cached(inner)
    request = asking(schema={"type": "object"})
    texts = [(await client.complete(request)).text for _ in range(3)]
    assert texts == ["sorry", '{"a": 1}', '{"a": 1}']


async def test_cache_is_bounded_and_drops_what_was_used_longest_ago() -> None:
    inner = Scripted("a" * 40, "b" * 40, "c" * 40, "again")
    client = Cached(inner, max_bytes=100)
    for text in ("a", "b", "a", "c", "a", "b"):
        await client.complete(asking(text))
    assert inner.calls == ["a", "b", "c", "b"]


async def test_close_ends_the_calls_and_reaches_the_adapter() -> None:
    inner = Scripted("one", gate=asyncio.Event())
    client = Cached(inner)
    task = asyncio.create_task(client.complete(asking()))
    await settle()
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (inner.cancelled, inner.closed) == (1, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("é" * 6, "12 bytes, the limit is 10"),
        ("\ud800", "no valid Unicode"),
    ],
)
async def test_bounds(text: str, said: str) -> None:
    with pytest.raises(ModelRefused, match=said):
        await Bounded(Scripted(text), 10).complete(asking())


async def test_within_bounds() -> None:
    assert (await Bounded(Scripted("é" * 5), 10).complete(asking())).text == "é" * 5


async def test_each_question_is_told_with_its_end() -> None:
    seen: list[tuple[str, str]] = []
    script = Scripted("x", ModelUnavailable("away"), ModelBlocked("no"), MultiAgentError("odd"))

    def see(model: str, end: str, _seconds: float) -> None:
        seen.append((model, end))

    client = Measured(script, see)
    await client.complete(asking("hello"))
    for _ in range(3):
        with pytest.raises(MultiAgentError):
            await client.complete(asking("hello"))
    waiting = asyncio.create_task(Measured(Scripted(gate=asyncio.Event()), see).complete(asking("x")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    ends = ["ok", "unavailable", "blocked", "error", "cancelled"]
    assert seen == [("scripted", end) for end in ends]
