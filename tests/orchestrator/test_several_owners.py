"""Several owners on one PostgreSQL and one Redis, with workers played by the test."""

from __future__ import annotations

import asyncio
import base64
import itertools
import threading
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from artifacts import GitArtifactStore, create_store, open_store
from contracts.bus.connect import open_message_bus
from contracts.messages.channels import SHARDS, Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import Control, DeadLetteredMessage
from contracts.ports.bus import MessageBus, Outgoing
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.sharding import shard_of
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.store import Store
from orchestrator.storage.tables import shards
from tests.orchestrator.hand import STREAM, Hand
from tests.orchestrator.plans import item, outcome, plan
from tests.support.postgres import PrivatePostgres
from tests.support.redis_servers import PrivateRedis

LEASE_SECONDS = 1.5
SECONDS = 30


@dataclass
class Member:
    """An owner with connections of its own, and what runs it."""

    owner: OrchestratorService
    database: Database
    task: asyncio.Task[None]

    async def close(self) -> None:
        await self.owner.bus.close()
        await self.database.close()


@dataclass
class Cluster:
    """Owners by name, and what they work on."""

    url: str
    redis: PrivateRedis
    artifacts: GitArtifactStore
    database: Database
    client: WorkflowClient
    bus: MessageBus
    members: dict[str, Member] = field(default_factory=dict)
    names: Iterator[str] = field(default_factory=lambda: (f"wf-{n}" for n in itertools.count()))

    def owner(
        self, name: str, database: Database, lease_seconds: float = LEASE_SECONDS
    ) -> OrchestratorService:
        return OrchestratorService(
            Store(database),
            open_message_bus(self.redis.url),
            self.artifacts,
            OrchestratorSettings(name, lease_seconds=lease_seconds),
            metrics=OrchestratorMetrics(CollectorRegistry()),
        )

    def start(self, *names: str, lease_seconds: float = LEASE_SECONDS) -> None:
        for name in names:
            database = open_database(self.url)
            owner = self.owner(name, database, lease_seconds)
            self.members[name] = Member(owner, database, asyncio.create_task(owner.run()))

    async def kill(self, name: str) -> None:
        """End an owner between two steps, without its farewell."""
        member = self.members.pop(name)
        member.task.cancel()
        await asyncio.gather(member.task, return_exceptions=True)
        await member.close()

    async def stop(self, name: str) -> None:
        member = self.members.pop(name)
        member.owner.stop()
        await asyncio.wait_for(member.task, SECONDS)
        await member.close()

    async def shares(self) -> dict[str | None, set[int]]:
        """The shards by owner, as stored."""
        rows = await self.database.read(
            lambda connection: connection.execute(shards.select()).mappings().all()
        )
        found: dict[str | None, set[int]] = {}
        for row in rows:
            found.setdefault(row["owner"], set()).add(row["shard"])
        return found

    async def settled(self, **sizes: int) -> dict[str | None, set[int]]:
        """Wait until these owners hold so many shards each, and nobody else any."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.shares()
                if {name: len(held) for name, held in found.items()} == sizes:
                    return found
                await asyncio.sleep(0.02)

    async def ended(self, workflow: str) -> WorkflowView:
        async with asyncio.timeout(SECONDS):
            while True:
                view = await self.client.workflow(workflow)
                if view is not None and view.header.status.terminal:
                    return view
                await asyncio.sleep(0.02)

    async def submitted(self, shares: set[int], *needs: str) -> str:
        """A workflow of one task that belongs to one of these shards."""
        name = next(name for name in self.names if shard_of(name) in shares)
        return await self.client.submit(plan(item("a"), *(item(one, "a") for one in needs)), workflow_id=name)

    async def kinds(self, workflow: str) -> list[str]:
        return [entry.kind for entry in await self.client.events(workflow)]


@pytest.fixture
async def cluster(postgres: PrivatePostgres, redis: PrivateRedis, tmp_path: Path) -> AsyncIterator[Cluster]:
    redis.flush()
    url = postgres.new_database()
    upgrade(url)
    database = open_database(url)
    store = open_store(str(create_store(tmp_path / "artifacts.git")), tmp_path / "cache")
    bus = open_message_bus(redis.url)
    built = Cluster(url, redis, store, database, WorkflowClient(database), bus)
    yield built
    for name in list(built.members):
        await built.stop(name)
    await bus.close()
    await store.close()
    await database.close()


@pytest.fixture
def hand(cluster: Cluster) -> Hand:
    return Hand(cluster.bus)


async def heard_controls(bus: MessageBus, said: list[Control]) -> None:
    async for _, payload in bus.subscribe([Channels.control("*")]):
        data = decode(payload).data
        assert isinstance(data, Control)
        said.append(data)


def accepted(owner: OrchestratorService) -> float:
    """How many outcomes this owner accepted."""
    samples = [sample for metric in owner.metrics.outcomes.collect() for sample in metric.samples]
    return sum(
        one.value for one in samples if one.name.endswith("_total") and one.labels["accepted"] == "true"
    )


async def test_two_owners_share_the_load_and_every_workflow_ends_once(cluster: Cluster) -> None:  # I2
    cluster.start("a", "b")
    shares = await cluster.settled(a=32, b=32)
    said: list[Control] = []
    listening = asyncio.create_task(heard_controls(cluster.bus, said))
    workflows = [await cluster.submitted(shares[name], "b", "c") for name in ("a", "b") * 4]
    hands = [Hand(cluster.bus, f"hand-{number}") for number in range(2)]

    async def work(one: Hand) -> None:
        while True:
            await one.work()

    working = [asyncio.create_task(work(one)) for one in hands]
    views = [await cluster.ended(name) for name in workflows]
    for task in (listening, *working):
        task.cancel()
    assert {view.header.status.value for view in views} == {"completed"}
    for name in workflows:
        counts = Counter(await cluster.kinds(name))
        assert (counts["task.dispatched"], counts["task.succeeded"]) == (3, 3)
        assert counts["workflow.completed"] == 1
    for member in cluster.members.values():
        assert accepted(member.owner) == 12
    assert not any(control.recalled for control in said)


async def test_when_one_is_killed_the_other_goes_on_within_a_lease_and_two_seconds(  # I4
    cluster: Cluster, hand: Hand
) -> None:
    cluster.start("a", "b")
    shares = await cluster.settled(a=32, b=32)
    workflow = await cluster.submitted(shares["a"], "b")
    delivery, request = await hand.take()
    await cluster.kill("a")
    await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name))
    async with asyncio.timeout(LEASE_SECONDS + 2):
        _, following = await hand.take()
    assert following.taskid == "b"
    await hand.report(following, outcome(following.id, worker_id=hand.name))
    view = await cluster.ended(workflow)
    assert [task.attempt for task in view.tasks] == [1, 1]
    assert len((await cluster.settled(b=64))["b"]) == SHARDS


async def test_a_newcomer_gets_its_part_while_work_is_under_way(cluster: Cluster, hand: Hand) -> None:  # I2
    cluster.start("a")
    await cluster.settled(a=64)
    workflows = [await cluster.submitted({shard}) for shard in (0, 63)]
    taken = [await hand.take() for _ in workflows]

    async def live() -> None:
        while True:
            await hand.beat()
            await asyncio.sleep(LEASE_SECONDS / 3)

    living = asyncio.create_task(live())
    cluster.start("b")
    shares = await cluster.settled(a=32, b=32)
    # Wait for what each looks for in its first lease, as another worker would see it.
    other = Hand(cluster.bus, "hand-2")
    until = asyncio.get_running_loop().time() + LEASE_SECONDS
    while asyncio.get_running_loop().time() < until:
        assert await other.read() == []
    for delivery, request in taken:
        await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name))
    views = [await cluster.ended(name) for name in workflows]
    living.cancel()
    assert [0 in shares["a"], 63 in shares["a"]] == [True, False]
    assert [(view.tasks[0].status.value, view.tasks[0].attempt) for view in views] == [("succeeded", 1)] * 2
    assert await cluster.bus.depth(STREAM) == 0


def fair(shares: dict[str | None, set[int]]) -> bool:
    return sorted(map(len, shares.values())) == [20, 22, 22]


async def test_three_that_start_at_once_end_with_all_shards_in_three_parts(cluster: Cluster) -> None:  # I3
    cluster.start("a", "b", "c")
    async with asyncio.timeout(SECONDS):
        while (found := await cluster.shares()).keys() != {"a", "b", "c"} or not fair(found):  # noqa: ASYNC110 - polls a database
            await asyncio.sleep(0.02)
    assert set().union(*found.values()) == set(range(SHARDS))


async def test_a_stopped_owner_gives_its_shards_back_at_once(cluster: Cluster) -> None:
    cluster.start("a", lease_seconds=10 * SECONDS)
    await cluster.settled(a=64)
    await cluster.stop("a")
    assert await cluster.client.orchestrators() == []
    cluster.start("b", lease_seconds=10 * SECONDS)
    await cluster.settled(b=64)


class Zombie:
    """An owner on a thread of its own, which stops in the middle of a decision and goes on when it may."""

    def __init__(self, owner: OrchestratorService) -> None:
        self.owner = owner
        self.stopped, self.go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        owner.new_id = self._stop_once
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.go_on.set()
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.owner.stop)
        self._thread.join(SECONDS)

    def _stop_once(self) -> str:
        self.stopped.set()
        assert self.go_on.wait(SECONDS)
        return uuid.uuid4().hex

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            await self.owner.run()
            await self.owner.bus.close()

        try:
            asyncio.run(main())
        except BaseException as error:
            self.error = error


async def test_what_an_owner_decided_before_it_stopped_is_refused_when_it_goes_on(  # I3
    cluster: Cluster, hand: Hand
) -> None:
    database = open_database(cluster.url)
    zombie = Zombie(cluster.owner("zombie", database))
    zombie.start()
    await cluster.settled(zombie=64)
    workflow = await cluster.submitted(set(range(SHARDS)))
    await asyncio.to_thread(zombie.stopped.wait, SECONDS)
    cluster.start("b")
    await cluster.settled(b=64)
    request = await hand.work()
    await cluster.ended(workflow)
    zombie.go_on.set()
    # Once it counts as living again it gets a part: it has given up what it had decided.
    await cluster.settled(zombie=32, b=32)
    await asyncio.to_thread(zombie.end)
    await database.close()
    assert zombie.error is None
    counts = Counter(await cluster.kinds(workflow))
    assert (counts["workflow.submitted"], counts["task.dispatched"], counts["task.succeeded"]) == (1, 1, 1)
    view = await cluster.ended(workflow)
    assert (view.tasks[0].attempt, view.tasks[0].dispatch_id) == (1, request.id)


async def both_taken(cluster: Cluster, hand: Hand, shares: dict[str | None, set[int]]) -> list[str]:
    """A workflow of each owner, both tasks in the worker's hands, of which no heartbeat speaks."""
    workflows = [await cluster.submitted(shares[name]) for name in ("a", "b")]
    taken = 0
    async with asyncio.timeout(SECONDS):
        while taken < len(workflows):
            await hand.beat()
            taken += len(await hand.read())
    return workflows


async def test_a_worker_that_dies_with_dispatches_of_two_owners_loses_none(  # I1
    cluster: Cluster, hand: Hand
) -> None:
    cluster.start("a", "b")
    workflows = await both_taken(cluster, hand, await cluster.settled(a=32, b=32))
    await hand.leave("died")
    other = Hand(cluster.bus, "hand-2")
    for _ in workflows:
        await other.work()
    for name in workflows:
        task = (await cluster.ended(name)).tasks[0]
        assert (task.status.value, task.attempt, task.crashes) == ("succeeded", 2, 0)
    assert await cluster.bus.consumers(STREAM, Channels.WORKERS_GROUP) == []


async def test_a_dispatch_of_another_owner_that_a_worker_cannot_read_fails_there(  # I1
    cluster: Cluster, hand: Hand
) -> None:
    cluster.start("a", "b")
    shares = await cluster.settled(a=32, b=32)
    other = "b" if 0 in shares["a"] else "a"
    workflow = await cluster.submitted(shares[other])
    delivery, request = await hand.take()
    dead = DeadLetteredMessage(
        stream=STREAM, reason="too new for me", raw_base64=base64.b64encode(delivery.payload).decode()
    )
    event = TaskEvent[DeadLetteredMessage](
        id="dead-1",
        source="test",
        type=EventType.MESSAGE_DEAD_LETTERED,
        time="2026-01-01T00:00:00Z",
        data=dead,
    )
    await cluster.bus.publish([Outgoing(Channels.DEAD_LETTERS, encode(event))])
    await cluster.bus.ack(Channels.WORKERS_GROUP, [delivery])
    hand.held.clear()
    again = await hand.work()
    assert (again.id != request.id, again.data.attempt) == (True, 2)
    assert (await cluster.ended(workflow)).tasks[0].failures == 1


async def test_what_was_read_and_is_in_nobodys_hands_goes_out_again(cluster: Cluster) -> None:  # I1
    cluster.start("a")
    workflow = await cluster.submitted(set(range(SHARDS)))
    names = []
    # The first time the look at the beginning of a session may find it, the second time only a later one.
    for number in range(2):
        hand = Hand(cluster.bus, f"hand-{number}")
        async with asyncio.timeout(SECONDS):
            while not (found := await hand.read()):
                await hand.beat()
        names.append(decode(found[0].payload).id)
        cluster.redis.command("XGROUP", "DELCONSUMER", STREAM, Channels.WORKERS_GROUP, hand.name)
    again = await Hand(cluster.bus, "hand-2").work()
    assert names == [again.id, again.id]
    view = await cluster.ended(workflow)
    assert (view.tasks[0].attempt, view.tasks[0].crashes) == (1, 0)
    assert await cluster.bus.depth(STREAM) == 0


async def test_a_stream_that_lost_its_group_keeps_nobody_from_reading(cluster: Cluster) -> None:  # I5
    idle = Channels.requests("reviewer")
    hand = Hand(cluster.bus, streams=(STREAM, idle))
    cluster.start("a")
    workflow = await cluster.submitted(set(range(SHARDS)), "b")
    await hand.work()
    cluster.redis.command("XGROUP", "DESTROY", idle, Channels.WORKERS_GROUP)
    await hand.work()
    assert (await cluster.ended(workflow)).header.status == "completed"


async def noted(cluster: Cluster, fits: Callable[[str], bool]) -> str:
    async with asyncio.timeout(SECONDS):
        while True:
            notes = [one.note for one in await cluster.client.orchestrators()]
            if notes and fits(notes[0]):
                return notes[0]
            await asyncio.sleep(0.02)


async def test_an_owner_says_that_it_waits_for_redis(cluster: Cluster) -> None:
    cluster.start("a")
    await cluster.settled(a=64)
    cluster.redis.kill()
    note = await noted(cluster, bool)
    assert note.startswith("waiting for Redis since ")
    assert " UTC: Redis at " in note
    cluster.redis.start()
    await noted(cluster, lambda text: not text)
