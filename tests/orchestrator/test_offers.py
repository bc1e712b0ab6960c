"""A failed workflow offers its work, and what becomes of the offer changes nothing of the workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from contracts.base.errors import ArtifactError, MergeConflict, StoreUnavailable
from contracts.base.refs import UNVERIFIED
from contracts.documents.todo_list import Role
from contracts.messages.journal import WorkflowOffered
from contracts.messages.journal_rows import encode_journal
from contracts.ports.artifacts import RefMove
from orchestrator.core.offers import accepted_tips
from orchestrator.core.state import TaskState, TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import OutboxEntry, OutboxKind
from orchestrator.service.inbox import InboxMessage, OfferMade
from orchestrator.service.offers import RETRY_SECONDS, Offer, Offers, stored_offers
from orchestrator.storage import tables
from tests.orchestrator.fleet import NAME, Fleet
from tests.orchestrator.hand import Hand, written
from tests.orchestrator.plans import failed, item, outcome, plan
from tests.orchestrator.system import System, running
from tests.support.redis_servers import PrivateRedis


class Store:
    """Merges what does not clash: a merge is named by what it holds."""

    def __init__(self, *clashing: str, trouble: Exception | None = None) -> None:
        self._clashing = set(clashing)
        self.trouble = trouble
        self.moves: list[RefMove] = []

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        held = [name for parent in parents for name in parent.split("+")]
        if self._clashing and self._clashing <= set(held):
            raise MergeConflict(f"{' and '.join(sorted(self._clashing))} disagree")
        return "+".join(held)

    async def publish(self, moves: Sequence[RefMove]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.moves += moves


class Clash(Store):
    """Where each of these disagrees with everything else."""

    def __init__(self, alone: set[str]) -> None:
        super().__init__()
        self._alone = alone

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str:
        if len(parents) > 1 and self._alone & set(parents):
            raise MergeConflict("they disagree")
        return await super().merge(parents, subject=subject, created_at=created_at)


def workflow(
    needs: dict[str, tuple[str, ...]], bad: str = "bad", status: WorkflowStatus = WorkflowStatus.FAILED
) -> Workflow:
    """Tasks that succeeded, each with a commit of its name, and one that did not."""
    items = [item(name, *below) for name, below in needs.items()]
    started = Workflow.start("w", plan(*items), shard=0, now=0.0)
    done = [_ended(task, bad) for task in started.tasks.values()]
    return Workflow.load(started.header._replace(status=status), done)


def _ended(task: TaskState, bad: str) -> TaskState:
    if task.task_id == bad:
        return task._replace(status=TaskStatus.FAILED)
    return task._replace(status=TaskStatus.SUCCEEDED, commit=task.task_id)


def offers(store: Store) -> tuple[Offers, asyncio.Queue[InboxMessage], list[str]]:
    inbox: asyncio.Queue[InboxMessage] = asyncio.Queue()
    delivered: list[str] = []
    return Offers(store, inbox, delivered), inbox, delivered


async def made(store: Store, failed_one: Workflow) -> WorkflowOffered | None:
    maker, inbox, delivered = offers(store)
    maker.add([Offer("entry", failed_one)])
    assert await maker.make_next()
    assert (delivered, maker.idle) == (["entry"], True)
    if inbox.empty():
        return None
    message = inbox.get_nowait()
    assert isinstance(message, OfferMade)
    return message.entry


async def test_what_succeeded_is_merged_in_the_order_of_the_plan() -> None:
    store = Store()
    found = await made(store, workflow({"c": (), "a": ("c",), "b": ("c",), "bad": ("a",)}))
    assert found == WorkflowOffered("a+b")
    assert store.moves == [RefMove("w", UNVERIFIED, "a+b")]


async def test_what_conflicts_is_left_out_and_named_and_what_it_started_from_is_taken() -> None:
    store = Store("a", "b")
    found = await made(store, workflow({"root": (), "a": (), "b": ("root",), "c": (), "bad": ("c",)}))
    assert found == WorkflowOffered("a+root+c", ("b: a and b disagree",))


async def test_tests_that_failed_are_part_of_the_offer() -> None:
    """Whoever takes it can run them. A task that died left nothing that was accepted."""
    ended = workflow({"code": (), "bad": ("code",)})
    test = ended.tasks["bad"]._replace(commit="tests", verdict="failed")
    ended.evolve(None, [test])
    assert await made(Store(), ended) == WorkflowOffered("tests")
    ended.evolve(None, [test._replace(status=TaskStatus.DEAD)])
    assert await made(Store(), ended) == WorkflowOffered("code")


@pytest.mark.parametrize(
    "ended",
    [
        workflow({"bad": ()}),
        workflow({"a": (), "bad": ()}, status=WorkflowStatus.RUNNING),
        workflow({"a": (), UNVERIFIED: ("a",), "bad": ()}),
    ],
    ids=["nothing succeeded", "retried meanwhile", "a task of the first release has the name"],
)
async def test_nothing_to_offer(ended: Workflow) -> None:
    store = Store()
    assert await made(store, ended) is None
    assert store.moves == []


async def test_an_offer_waits_for_the_store_behind_others_and_stays_in_the_outbox() -> None:
    store = Store(trouble=StoreUnavailable("away"))
    maker, inbox, delivered = offers(store)
    maker.add([Offer("one", workflow({"a": (), "bad": ()}))])
    assert not await maker.make_next()
    assert (delivered, inbox.empty(), maker.idle) == ([], True, False)
    store.trouble = None
    assert await maker.make_next()
    assert delivered == ["one"]


async def test_an_offer_that_cannot_be_made_is_left_to_the_next_term() -> None:
    maker, inbox, delivered = offers(Store(trouble=ArtifactError("damaged")))
    maker.add([Offer("one", workflow({"a": (), "bad": ()}))])
    assert await maker.make_next()
    assert (delivered, inbox.empty(), maker.idle) == ([], True, True)


async def test_what_was_added_before_it_runs_is_made_and_nothing_waits_behind_it() -> None:
    store = Store()
    maker, inbox, _ = offers(store)
    others = [workflow({name: (), "bad": ()}) for name in "ab"]
    for number, one in enumerate(others):
        named = Workflow.load(one.header._replace(workflow_id=f"w{number}"), one.tasks.values())
        maker.add([Offer(f"offer-{number}", named)])
    running = asyncio.create_task(maker.run())
    async with asyncio.timeout(RETRY_SECONDS / 2):
        first, second = await inbox.get(), await inbox.get()
    running.cancel()
    assert isinstance(first, OfferMade)
    assert isinstance(second, OfferMade)
    assert [move.workflow_id for move in store.moves] == ["w0", "w1"]


async def test_what_several_started_from_is_tried_once() -> None:
    """All that stands on `root` disagrees with `first`, and so does `root`."""
    clash = Clash({"a", "b", "root"})
    found = await made(clash, workflow({"first": (), "root": (), "a": ("root",), "b": ("root",), "bad": ()}))
    assert found is not None
    assert found.commit == "first"
    assert [line.partition(":")[0] for line in found.left_out] == ["a", "root", "b"]


async def test_of_one_workflow_the_newest_offer_counts() -> None:
    store = Store()
    maker, _, delivered = offers(store)
    maker.add([Offer("old", workflow({"a": (), "bad": ()}))])
    maker.add([Offer("new", workflow({"a": (), "b": (), "bad": ()}))])
    assert await maker.make_next()
    assert (delivered, [move.commit for move in store.moves]) == (["old", "new"], ["a+b"])


class Stored:
    async def load(self, workflow_id: str) -> Workflow | None:
        return workflow({"a": ()}) if workflow_id == "w" else None


async def test_offers_of_an_earlier_term_are_taken_up() -> None:
    entries = [
        OutboxEntry("offer", OutboxKind.REF, "w", UNVERIFIED),
        OutboxEntry("gone", OutboxKind.REF, "other", UNVERIFIED),
        OutboxEntry("move", OutboxKind.REF, "w", "a", "a" * 40),
        OutboxEntry("d", OutboxKind.DISPATCH, "w", "a"),
    ]
    assert [offer.entry_id for offer in await stored_offers(entries, Stored())] == ["offer"]


def test_a_commit_that_others_contain_is_no_tip() -> None:
    found = accepted_tips(workflow({"a": (), "bad": ("a",), "c": ("a",), "d": ()}))
    assert [task.task_id for task in found] == ["c", "d"]


async def test_a_failed_run_offers_its_work_until_a_later_success(
    database_url: str, redis: PrivateRedis, tmp_path: Path
) -> None:
    async with running(database_url, redis, tmp_path) as system:
        await _fails_and_succeeds(system, Hand(system.bus))
        await system.stop()


async def _fails_and_succeeds(system: System, hand: Hand) -> None:
    name = await system.client.submit(plan(item("a"), item("b", "a", max_retries=0)))
    delivery, request = await hand.take()
    first = await written(system.store, request)
    await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=first))
    delivery, request = await hand.take()
    await hand.finish(delivery, request, failed(request.id, retryable=False, worker_id=hand.name))
    view = await system.ended(name)
    assert view.header.status == "failed"
    async with asyncio.timeout(20):
        while await system.client.offered(name) is None:  # noqa: ASYNC110 - polls a database
            await asyncio.sleep(0.05)
    assert await system.client.offered(name) == WorkflowOffered(first)
    assert (await system.store.accepted())[(name, UNVERIFIED)] == first
    again = await system.client.workflow(name)
    assert again == view
    await system.client.retry(name, None, "somebody")
    delivery, request = await hand.take()
    assert await system.client.offered(name) is None
    await system.database.write(lambda connection: _record(connection, name, WorkflowOffered(first)))
    assert await system.client.offered(name) is None, "it was made before the retry, and recorded after it"
    commit = await written(system.store, request)
    await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
    view = await system.until(name, lambda found: found.header.status == "completed")
    assert (name, UNVERIFIED) not in await system.store.accepted()
    await system.database.write(lambda connection: _record(connection, name, WorkflowOffered(first)))
    assert await system.client.offered(name) is None


def _record(connection: Connection, name: str, event: WorkflowOffered) -> None:
    kind, task_id, data = encode_journal(event)
    row = {"workflow_id": name, "task_id": task_id, "at": 0.0, "kind": kind, "data": data}
    connection.execute(insert(tables.journal).values(row))


async def test_what_was_made_before_a_retry_is_not_recorded_after_it() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(OfferMade(NAME, WorkflowOffered("c")))
    assert not [one for one in fleet.journal if isinstance(one, WorkflowOffered)]


def test_what_a_coder_left_unfinished_is_offered_and_no_other_roles_half_of_a_fix() -> None:
    started = workflow({"a": (), "bad": ("a",), "blocked": ("bad",)})
    tasks = {**started.tasks, "bad": started.tasks["bad"]._replace(commit="half")}
    tasks["blocked"] = tasks["blocked"]._replace(status=TaskStatus.BLOCKED, commit=None)
    left = Workflow.load(started.header, tasks.values())
    assert [task.commit for task in accepted_tips(left)] == ["half"]
    fix = tasks["bad"].item.model_copy(update={"agent_role": Role.DEBUGGER})
    tasks["bad"] = tasks["bad"]._replace(item=fix)
    assert [task.commit for task in accepted_tips(Workflow.load(started.header, tasks.values()))] == ["a"]
