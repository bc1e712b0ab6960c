"""What executions of one task spend together, whoever is killed."""

from __future__ import annotations

import asyncio
import random

import pytest

from agents.worker.failures import task_error
from agents.worker.ledger import Ledger
from contracts.base.errors import ArtifactError, Unavailable
from contracts.messages.budget import NOTHING, Amount, Grant, SpendingLimits, Spent
from contracts.messages.suspension import Suspended
from tests.agents.support import ExchangesInMemory

BOUND = Amount(micro_usd=100, tokens=1_000)
USED = Amount(micro_usd=30, tokens=400)
WORKERS = 50


class YieldingStore(ExchangesInMemory):
    """Lets others run at every call, as a real store does."""

    async def create_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> bool:
        await asyncio.sleep(0)
        return await super().create_exchange(workflow_id, task_id, key, content)

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return await super().load_exchange(workflow_id, task_id, key)


def ledger(
    store: ExchangesInMemory, dispatch: str, execution: str, most: int = 250, earlier: tuple[str, ...] = ()
) -> Ledger:
    grant = Grant(allowance=SpendingLimits(micro_usd=most), earlier=earlier)
    return Ledger(store, ("w1", "t1"), grant, dispatch, execution)


async def test_what_was_not_used_can_be_spent_again() -> None:
    one = ledger(ExchangesInMemory(), "d1", "e1")
    for number in range(8):
        one.settle(await one.reserve(f"r{number}", BOUND), USED)
        if number == 5:
            break
    with pytest.raises(Suspended) as caught:
        await one.reserve("r6", BOUND)
    assert caught.value.suspension.budget == BOUND
    assert await one.close() == Spent(total=Amount(micro_usd=180, tokens=2_400))


async def test_a_successor_counts_what_a_killed_execution_had_set_aside() -> None:
    store = ExchangesInMemory()
    killed = ledger(store, "d1", "e1")
    killed.settle(await killed.reserve("answered", BOUND), USED)
    await killed.reserve("in flight", BOUND)
    after = ledger(store, "d1", "e2")
    with pytest.raises(Suspended):
        await after.reserve("in flight", Amount(micro_usd=121))
    after.settle(await after.reserve("in flight", BOUND), USED)
    spent = await after.close()
    assert spent is not None
    assert spent.total.micro_usd == 30 + 100 + 30


async def test_a_stored_answer_settles_the_one_try_that_brought_it() -> None:
    store = ExchangesInMemory()
    killed = ledger(store, "d1", "e1")
    await killed.reserve("r", BOUND)  # of which nothing is known
    await killed.reserve("r", BOUND)  # answered, and killed before it could say so
    after = ledger(store, "d2", "e2", earlier=("d1",))
    after.read_back("r", USED)
    assert await after.close() == Spent(total=NOTHING, earlier={"d1": Amount(micro_usd=130, tokens=1_400)})
    settled = ledger(store, "d3", "e3")
    await settled.reserve("s", BOUND)
    settled.settle(await settled.reserve("s", BOUND), USED)
    settled.read_back("s", USED)
    spent = await settled.close()
    assert spent is not None
    assert spent.total.micro_usd == 130


async def test_nothing_is_spent_once_the_outcome_is_under_way() -> None:
    store = ExchangesInMemory()
    zombie, late = ledger(store, "d1", "e1"), ledger(store, "d1", "e2")
    await zombie.reserve("r", BOUND)
    assert await late.close() == Spent(total=BOUND)
    with pytest.raises(Unavailable) as caught:
        await zombie.reserve("s", Amount(micro_usd=1))
    assert task_error(caught.value).outage  # which uses no retry
    lost = ledger(store, "d2", "e3")
    await lost.reserve("r", BOUND)
    await ledger(store, "d3", "e4", earlier=("d2",)).close()
    with pytest.raises(Unavailable):
        await lost.reserve("s", Amount(micro_usd=1))


@pytest.mark.parametrize("seed", range(5))
async def test_fifty_racing_executions_of_one_dispatch_never_overspend(seed: int) -> None:
    store, choice = YieldingStore(), random.Random(seed)
    paid: list[int] = []

    async def execution(number: int) -> None:
        purse, used = ledger(store, "d1", f"e{number}", most=2_000), choice.randint(0, 100)
        for ask in range(3):
            try:
                entry = await purse.reserve(f"{number}-{ask}", BOUND)
            except Suspended:
                return
            paid.append(used)
            await asyncio.sleep(0)
            if choice.random() < 0.2:
                return  # killed
            purse.settle(entry, Amount(micro_usd=used))

    await asyncio.gather(*map(execution, range(WORKERS)))
    spent = await ledger(store, "d1", "last").close()
    assert spent is not None
    assert sum(paid) <= spent.total.micro_usd <= 2_000
    assert len(paid) >= 20


class StoreOfOneDispatch(ExchangesInMemory):
    """Too slow for any dispatch but one."""

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        if not key.startswith("spent:d2:"):
            await asyncio.Event().wait()
        return await super().load_exchange(workflow_id, task_id, key)


async def test_what_is_known_is_told_where_earlier_dispatches_cannot_be_looked_at_in_time() -> None:
    store, now = StoreOfOneDispatch(), asyncio.get_running_loop().time()
    one = ledger(store, "d2", "e1", earlier=("d1",))
    one.settle(await one.reserve("r", BOUND), USED)
    await one.reserve("in flight", BOUND)
    one.read_back("in flight", USED)  # may settle a try of an earlier dispatch
    assert await one.close(deadline=now - 1.5) == Spent(total=USED.plus(BOUND))
    # Long before the process is ended that held it.
    assert await ledger(store, "d1", "e1").close(deadline=now - 1.5) is None
    assert asyncio.get_running_loop().time() - now < 3


@pytest.mark.parametrize("content", [b"", b'{"execution_id": "e1", "of_a_later_release": 1}'])
async def test_a_log_that_cannot_be_read_is_an_error_and_all_counts_as_spent(content: bytes) -> None:
    store = ExchangesInMemory()
    await store.save_exchange("w1", "t1", "spent:d1:0", content)
    one = ledger(store, "d1", "e2")
    with pytest.raises(ArtifactError, match="spent:d1:0: cannot be read"):
        await one.reserve("r", BOUND)
    assert await one.close() is None
