"""Limits of requests and tokens per minute, for one client and for several processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from contracts.base.errors import (
    BusUnavailable,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    MultiAgentError,
    NotConfigured,
)
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.rates import Rates, RateWindow, Reservation
from multi_agent.models.layers.most import most_tokens
from multi_agent.models.layers.rate_limit import LocalWindow, RateLimited
from multi_agent.models.layers.shared_window import SharedWindow
from multi_agent.models.layers.team_window import TeamWindow
from multi_agent.settings import load_settings
from tests.models.rigs import asking
from tests.models.test_wrappers import Scripted, Time

# The tests may run beside threads of their runner, which a forked process does not touch.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

both = pytest.mark.parametrize("kind", [LocalWindow, SharedWindow])
NewWindow = Callable[..., RateWindow]


def in_another_process(work: Callable[[], None]) -> int:
    """Run something in a forked process; its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


async def waits(window: RateWindow, time: Time, *asked: tuple[float, int]) -> list[float]:
    """How long a request of so many tokens would wait at each time; those that need not are counted."""
    found = []
    for at, tokens in asked:
        time.now = at
        found.append((await window.reserve(tokens)).wait)
    return found


@both
async def test_as_many_as_allowed_start_in_any_minute(kind: NewWindow) -> None:
    time = Time()
    window = kind(Rates(3), clock=time.clock)
    at = (0.0, 10.0, 20.0, 20.0, 59.5, 60.0, 60.0, 70.0)
    found = await waits(window, time, *((one, 1_000) for one in at))
    assert found == [0.0, 0.0, 0.0, 40.0, 0.5, 0.0, 10.0, 0.0]


@both
async def test_tokens_of_any_minute(kind: NewWindow) -> None:
    time = Time()
    window = kind(Rates(tokens=100), clock=time.clock)
    asked = ((0.0, 60), (10.0, 30), (20.0, 11), (20.0, 10), (30.0, 41), (60.0, 41), (60.0, 59))
    assert await waits(window, time, *asked) == [0.0, 0.0, 40.0, 0.0, 30.0, 0.0, 20.0]


@both
async def test_a_request_above_the_limit_has_a_minute_for_itself(kind: NewWindow) -> None:
    time = Time()
    window = kind(Rates(tokens=100), clock=time.clock)
    assert await waits(window, time, (0.0, 10), (0.0, 10**9), (60.0, 10**9), (119.0, 1), (120.0, 1)) == [
        *(0.0, 60.0, 0.0, 1.0, 0.0)
    ]


@both
async def test_what_was_used_in_the_end_counts(kind: NewWindow) -> None:
    time = Time()
    window = kind(Rates(2, 100), clock=time.clock)
    held = await window.reserve(100)
    assert await waits(window, time, (1_000.0, 50)) == [60.0]
    await window.settle(held, 50)
    assert await waits(window, time, (1_000.0, 50)) == [0.0]
    assert await waits(window, time, (1_060.0, 100), (1_060.0, 1)) == [0.0, 60.0]
    await window.settle(held, 7)  # too late: nothing of it counts
    assert await waits(window, time, (1_060.0, 1)) == [60.0]


class Answers(Scripted):
    """Gives one answer, or fails."""

    def __init__(self, outcome: MultiAgentError | ModelResponse) -> None:
        super().__init__(*([outcome] if isinstance(outcome, MultiAgentError) else []))
        self.answer = outcome

    async def complete(self, request: ModelRequest) -> ModelResponse:
        if isinstance(self.answer, ModelResponse):
            return self.answer
        return await super().complete(request)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (ModelResponse("x", "m", 30, 4), 34),
        (ModelRejected("too large"), 0),
        (ModelUnavailable("busy", retry_after=1.0), 0),
        (ModelResponse("without usage", "m"), most_tokens(asking()).all),
        (ModelUnavailable("no answer in time"), most_tokens(asking()).all),
        (ModelRefused("cut off"), most_tokens(asking()).all),
    ],
    ids=str,
)
async def test_what_an_outcome_counts(outcome: MultiAgentError | ModelResponse, counts: int) -> None:
    time, limit = Time(), 10**6
    window = LocalWindow(Rates(tokens=limit), clock=time.clock)
    with suppress(MultiAgentError):
        await RateLimited(Answers(outcome), window, sleep=time.sleep).complete(asking())
    assert (await window.reserve(limit - counts + 1)).wait == (60.0 if counts else 0.0)
    assert (await window.reserve(limit - counts)).wait == (0.0 if counts else 60.0)


def test_an_upper_bound() -> None:
    text = "Grüße 😀" * 100
    assert most_tokens(asking(text)).all > len(text.encode()) + asking().max_output_tokens
    assert most_tokens(asking(text), 10).written == 10


async def test_every_try_counts() -> None:
    time = Time()
    inner = Scripted(ModelUnavailable("busy"), "late")
    client = RateLimited(inner, LocalWindow(Rates(1), clock=time.clock), sleep=time.sleep)
    with pytest.raises(ModelUnavailable):
        await client.complete(asking())
    await client.complete(asking())
    assert time.slept == [60.0]


def reserve_many(window: SharedWindow, count: int) -> None:
    async def reserve() -> None:
        for _ in range(count):
            while (held := await window.reserve(10)).wait:
                pass
            await window.settle(held, 4)

    asyncio.run(reserve())


def test_processes_and_threads_share_the_limit_and_lose_no_reservation() -> None:
    window = SharedWindow(Rates(800, 10_000), clock=lambda: 1.0)
    pids = [in_another_process(lambda: reserve_many(window, 195)) for _ in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: reserve_many(window, 10), range(2)))
    assert asyncio.run(window.reserve(1)).wait == 60.0


def test_a_process_that_is_killed_gives_the_lock_back() -> None:
    window = SharedWindow(Rates(2))
    ready, says = os.pipe()

    def hold() -> None:
        fcntl.lockf(window.fd, fcntl.LOCK_EX)
        os.write(says, b"x")
        signal.pause()

    pid = in_another_process(hold)
    os.read(ready, 1)
    wait = asyncio.run(window.reserve(1)).wait
    assert 0 < wait < 0.1, "nobody waits for a lock whose holder may be stopped"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert asyncio.run(window.reserve(1)).wait == 0.0
    os.close(ready)
    os.close(says)


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute"])
def test_a_limit_that_no_memory_holds_is_refused(name: str) -> None:
    said = f"MULTI_AGENT_{name.upper()} is '10{{18}}'; .* at most 1,000,000"
    with pytest.raises(NotConfigured, match=said):
        load_settings({name: 10**18})


class Switched(LocalWindow):
    """A window of a team that can be away."""

    is_away = False

    async def reserve(self, tokens: int) -> Reservation:
        if self.is_away:
            raise BusUnavailable("away")
        return await super().reserve(tokens)

    async def settle(self, held: Reservation, tokens: int) -> None:
        if self.is_away:
            raise BusUnavailable("away")
        await super().settle(held, tokens)


async def test_where_the_team_cannot_be_counted_the_process_is() -> None:
    team, own = Switched(Rates(1, 100)), LocalWindow(Rates(1, 100))
    time = Time()
    window = TeamWindow(team, own, clock=time.clock)
    held = await window.reserve(50)
    assert (held.alone, (await window.reserve(50)).wait > 0) == (False, True)
    team.is_away = True
    await window.settle(held, 10)
    alone = await window.reserve(50)
    assert (alone.wait, alone.alone, (await window.reserve(50)).wait > 0) == (0.0, True, True)
    team.is_away = False
    assert (await window.reserve(50)).alone, "a server that hangs is not asked for every request"
    await window.settle(alone, 10)
    time.now += 10.0
    again = await window.reserve(50)
    assert (again.alone, again.wait > 0) == (False, True)
    await window.close()
