"""What all workflows may spend on a day: lent in slices, and never twice."""

from __future__ import annotations

import asyncio

import pytest

from contracts.base.errors import Busy, InvalidInput
from contracts.messages.budget import Budget, SpendingLimits
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import Terms
from orchestrator.storage.spending.day_budget import DaySpending, day_spending
from orchestrator.storage.sql.database import Database, open_database
from tests.orchestrator.plans import item, plan
from tests.release.history import Desk

ONE = plan(item("code"))
DAY = 86_400.0
SPENT = {"total": {"micro_usd": 150_000, "tokens": 9}}


async def submit(client: WorkflowClient, name: str, usd: float) -> str:
    terms = Terms(budget=Budget(workflow=SpendingLimits.of(usd)))
    return await client.submit(ONE, workflow_id=name, terms=terms)


async def gone(database: Database, now: float) -> tuple[int, int]:
    return await database.read(lambda connection: day_spending(connection, now))


async def test_those_that_submit_at_once_are_lent_no_more_than_there_is(
    database_url: str, database: Database
) -> None:
    others = [open_database(database_url) for _ in range(4)]
    clients = [WorkflowClient(one, day_usd=5.0) for one in (database, *others)]
    submits = [submit(clients[number % 5], f"w{number}", 0.4) for number in range(50)]
    results = await asyncio.gather(*submits, return_exceptions=True)
    for one in others:
        await one.close()
    assert sum(isinstance(one, Busy) for one in results) == 38
    assert sum(isinstance(one, str) for one in results) == 12
    assert await clients[0].day_spending() == DaySpending(12 * 400_000)
    refused = str(next(one for one in results if isinstance(one, Busy)))
    assert "$4.80 are set aside for those that are open and $0.00 are spent" in refused
    assert "and this one may spend $0.40; wait until others have ended" in refused


async def test_what_has_ended_has_taken_what_it_spent_until_the_next_day(database: Database) -> None:
    desk, client = Desk(database), WorkflowClient(database, day_usd=1.0)
    await desk.start("orchestrator-1")
    await submit(client, "w1", 0.9)
    await desk.apply_commands()
    assert await gone(database, desk.now) == (900_000, 0)
    with pytest.raises(Busy):
        await submit(client, "w2", 0.2)
    error = {"code": "bad", "message": "bad", "retryable": False}
    await desk.finish("w1", "code", status="failed", error=error, spent=SPENT)
    assert await gone(database, desk.now) == (0, 150_000)
    await submit(client, "w2", 0.85)
    assert await gone(database, desk.now) == (850_000, 150_000)
    assert await gone(database, desk.now + DAY) == (850_000, 0)


async def test_a_raise_and_a_retry_are_lent_too(database: Database) -> None:
    desk, client = Desk(database), WorkflowClient(database, day_usd=1.0)
    await desk.start("orchestrator-1")
    for name in ("w1", "w2"):
        await submit(client, name, 0.4)
        await desk.apply_commands()
    with pytest.raises(Busy, match=r"this one may spend \$0\.30; wait"):
        await client.raise_budget("w1", SpendingLimits.of(0.7), "me")
    await client.raise_budget("w1", SpendingLimits.of(0.6), "me")
    assert await gone(database, desk.now) == (1_000_000, 0)
    await desk.apply_commands()
    assert await gone(database, desk.now) == (1_000_000, 0)
    error = {"code": "bad", "message": "bad", "retryable": False}
    await desk.finish("w2", "code", status="failed", error=error, spent=SPENT)
    await submit(client, "w3", 0.2)
    with pytest.raises(Busy, match=r"this one may spend \$0\.25; wait"):
        await client.retry("w2", None, "me")
    await client.cancel("w3", "me")
    await desk.apply_commands()
    await client.retry("w2", None, "me")
    assert await gone(database, desk.now) == (1_000_000, 0)


async def test_those_that_raise_at_once_are_lent_no_more_than_there_is(
    database_url: str, database: Database
) -> None:
    desk = Desk(database)
    await desk.start("orchestrator-1")
    others = [open_database(database_url) for _ in range(4)]
    clients = [WorkflowClient(one, day_usd=2.0) for one in (database, *others)]
    names = [f"w{number}" for number in range(10)]
    for number, name in enumerate(names):
        await submit(clients[number % 5], name, 0.1)  # so that each is connected
    await desk.apply_commands()
    raises = [
        clients[number % 5].raise_budget(name, SpendingLimits.of(1.0), "me")
        for number, name in enumerate(names)
    ]
    results = await asyncio.gather(*raises, return_exceptions=True)
    for one in others:
        await one.close()
    assert sum(isinstance(one, Busy) for one in results) == 9
    assert await gone(database, desk.now) == (1_900_000, 0)


async def test_a_workflow_that_may_spend_any_sum_is_refused(database: Database) -> None:
    desk, client = Desk(database), WorkflowClient(database, day_usd=1.0)
    await desk.start("orchestrator-1")
    with pytest.raises(InvalidInput, match=r"workflow w1 has no budget in dollars, .* with --budget USD"):
        await client.submit(ONE, workflow_id="w1")
    tokens = Terms(budget=Budget(workflow=SpendingLimits(tokens=5)))
    with pytest.raises(InvalidInput, match="w1 has no budget in dollars"):
        await client.submit(ONE, workflow_id="w1", terms=tokens)
    await desk.submit("free", item("code"))
    with pytest.raises(InvalidInput, match="workflow free has no budget"):
        await client.retry("free", None, "me")
    assert await gone(database, desk.now) == (0, 0)
