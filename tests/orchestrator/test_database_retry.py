"""A call is repeated until the database answers, and its outage is told twice."""

from __future__ import annotations

import time

from contracts.base.errors import StoreUnavailable
from orchestrator.client.database_retry import RETRY_SECONDS, DatabaseRetry


async def test_an_outage_is_told_when_it_begins_and_when_it_ends() -> None:
    said: list[str] = []
    asked: list[float] = []
    known: list[int] = []

    async def ask() -> str:
        asked.append(time.monotonic())
        known.append(len(said))
        if len(asked) < 3:
            raise StoreUnavailable("no\nroute")
        return "answer"

    retry = DatabaseRetry(said.append)
    assert await retry.call(ask) == "answer"
    assert known == [0, 1, 1], "it is told before the first wait"
    assert asked[2] - asked[0] >= 2 * RETRY_SECONDS * 0.9
    assert [line.partition(" (since")[0] for line in said[:1]] == ["waiting for the database"]
    assert said[0].endswith("): no route")
    assert said[1:] == ["the database is back after 2 s"]
    assert await retry.call(ask) == "answer"
    assert len(said) == 2
