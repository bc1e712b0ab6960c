"""Any number of followers are served by one tail of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping

from contracts.base.errors import StoreUnavailable
from contracts.messages.journal import WorkflowFailed, WorkflowStarted
from multi_agent.application.follow import follow
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.journal_tail import JournalTail
from orchestrator.client.queries import WorkflowQueries
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.scheduling.batch import Batch
from orchestrator.storage.sql.database import Database
from orchestrator.storage.store import Store
from tests.orchestrator.plans import WORKFLOW, Play, item, plan
from tests.orchestrator.test_store import saved

FOLLOWERS = 50


class Source:
    """Sequences by workflow, an error to raise, and what was asked for."""

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}
        self.asked: list[set[str]] = []
        self.error: Exception | None = None
        self.reading = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def read(self, workflow_ids: Collection[str]) -> Mapping[str, int]:
        self.asked.append(set(workflow_ids))
        self.reading.set()
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return {name: self.sequences[name] for name in workflow_ids if name in self.sequences}


async def waiting(*calls: Awaitable[int | None]) -> list[asyncio.Task[int | None]]:
    """The calls as tasks, each of which has come to its first wait."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    return [task for task in tasks if isinstance(task, asyncio.Task)]


async def test_one_poll_serves_all_who_follow() -> None:
    source = Source()
    source.sequences = {"w": 3, "v": 5}
    tail = JournalTail(source.read, poll_seconds=0.0)
    calls = [tail.newer("w" if number % 2 else "v", None) for number in range(FOLLOWERS)]
    found = await asyncio.gather(*calls)
    assert found == [3 if number % 2 else 5 for number in range(FOLLOWERS)]
    assert source.asked == [{"w", "v"}]


async def test_only_those_are_woken_whose_workflow_has_news() -> None:
    source = Source()
    source.sequences = {"w": 3, "v": 5}
    tail = JournalTail(source.read, poll_seconds=0.0)
    first, second, other = await waiting(tail.newer("w", 3), tail.newer("w", 3), tail.newer("v", 5))
    source.sequences["w"] = 4
    assert {await first, await second} == {4}
    assert not other.done()
    source.sequences["v"] = 6
    assert await other == 6


async def test_nobody_polls_when_nobody_follows() -> None:
    source = Source()
    source.answers.clear()
    tail = JournalTail(source.read, poll_seconds=0.0)
    [follower] = await waiting(tail.newer("w", None))
    async with asyncio.timeout(20):
        await source.reading.wait()
    follower.cancel()
    await asyncio.wait([follower])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "a read that has no answer yet is cancelled too"
    source.answers.set()
    source.sequences = {"w": 1}
    assert await tail.newer("w", None) == 1, "and the next one who follows is served again"


async def test_who_comes_back_at_once_does_not_make_the_polls_more_frequent() -> None:
    source = Source()
    tail = JournalTail(source.read, poll_seconds=0.05)
    clock = asyncio.get_running_loop().time
    started = clock()
    for sequence in range(1, 4):
        source.sequences = {"w": sequence}
        assert await tail.newer("w", sequence - 1) == sequence
    assert clock() - started >= 0.1
    assert len(source.asked) == 3


async def test_an_outage_is_said_to_each_follower() -> None:
    source = Source()
    source.error = StoreUnavailable("away")
    tail = JournalTail(source.read, poll_seconds=0.0)
    found = await asyncio.gather(tail.newer("w", None), tail.newer("v", None), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable] * 2
    source.error, source.sequences = None, {"w": 1}
    assert await tail.newer("w", None) == 1


async def test_followers_of_one_client_see_every_entry(database: Database) -> None:
    store = Store(database)
    assignment = await saved(store, Play(plan(item("a"))))
    client = WorkflowClient(database)
    steps = 5

    async def entries() -> list[int]:
        found: list[int] = []
        async for progress in follow(client, WORKFLOW, DatabaseRetry()):
            found += [int(entry.data["reason"]) for entry in progress.entries]
            if len(found) == steps:
                break
        return found

    async with asyncio.timeout(20):
        followers = [asyncio.create_task(entries()) for _ in range(10)]
        for number in range(steps):
            entry = WorkflowFailed(str(number))
            await store.commit(Batch(now=1.0, journal=[(WORKFLOW, entry)]), assignment)
        assert await asyncio.gather(*followers) == [list(range(steps))] * 10


async def test_the_newest_sequence_is_that_of_each_workflow(database: Database) -> None:
    store = Store(database)
    assignment = await saved(store, Play(plan(item("a"))))
    await store.commit(Batch(now=1.0, journal=[(WORKFLOW, WorkflowStarted())]), assignment)
    queries = WorkflowQueries(database)
    [entry] = await queries.events(WORKFLOW)
    assert await queries.newest_sequences([WORKFLOW, "unknown"]) == {WORKFLOW: entry.sequence}
