"""The owner on a real database, a real Redis and a real Git store, with workers played by the test."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert

from contracts.base.errors import InvalidInput
from contracts.bus.connect import open_message_bus
from contracts.documents.todo_list import TodoList
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import Control, DeadLetteredMessage
from contracts.ports.bus import Outgoing, Subscription
from orchestrator.core.commands import ACCEPTED
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.store import COMMANDS, Store
from orchestrator.storage.tables import commands
from tests.orchestrator.hand import STREAM, STREAMS, Hand, written
from tests.orchestrator.plans import failed, item, outcome, plan
from tests.orchestrator.system import LEASE_SECONDS, System, running
from tests.support.redis_servers import PrivateRedis


@pytest.fixture
async def system(database_url: str, redis: PrivateRedis, tmp_path: Path) -> AsyncIterator[System]:
    async with running(database_url, redis, tmp_path) as built:
        yield built
        await built.stop()


@pytest.fixture
def hand(system: System) -> Hand:
    return Hand(system.bus)


async def test_many_submissions_at_once_wait_for_no_poll(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.kill()
    await system.client.submit_all({f"many-{number}": plan(item("a")) for number in range(2 * COMMANDS + 1)})
    monkeypatch.setattr("orchestrator.service.sources.POLL_SECONDS", 3600.0)
    await system.start()
    async with asyncio.timeout(120):
        while len(await system.client.workflows(limit=1000)) <= 2 * COMMANDS:  # noqa: ASYNC110 - polls a database
            await asyncio.sleep(0.05)


def first(subscription: Subscription) -> asyncio.Task[bytes]:
    """The first payload, listened for from now on."""

    async def listen() -> bytes:
        async for _, payload in subscription:
            return payload
        raise AssertionError("closed before anything was heard")

    return asyncio.create_task(listen())


CHAIN = plan(item("a"), item("b", "a"))


async def submitted(system: System, todo: TodoList = CHAIN) -> str:
    return await system.client.submit(todo)


async def test_a_workflow_runs_and_its_outcome_is_merged(system: System, hand: Hand) -> None:
    workflow = await submitted(system, plan(item("a"), item("b", "a"), item("c", "a")))
    for _ in range(3):
        delivery, request = await hand.take()
        commit = await written(system.store, request)
        await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
    view = await system.ended(workflow)
    assert view.header.status == "completed"
    assert view.header.result_commit is not None
    tree = await system.store.read_tree(view.header.result_commit)
    assert {path for path in tree if path.endswith(".py")} == {"a.py", "b.py", "c.py"}
    assert {one.task_id for one in await system.store.history(workflow)} >= {"a", "b", "c"}


async def test_each_dispatch_starts_from_its_dependencies(system: System, hand: Hand) -> None:  # I6
    await submitted(system)
    delivery, request = await hand.take()
    commit = await written(system.store, request)
    await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
    _, request = await hand.take()
    assert (request.taskid, request.data.parents) == ("b", (commit,))
    assert await system.store.read_tree(commit)


async def test_an_outcome_is_acknowledged_and_a_second_one_refused(system: System, hand: Hand) -> None:  # I2
    workflow = await submitted(system)
    listening = system.bus.subscribe([Channels.control(hand.name)])
    heard = first(listening)
    delivery, request = await hand.take()
    result = outcome(request.id, worker_id=hand.name)
    for _ in range(3):
        await hand.report(request, result)
    await system.bus.ack(Channels.WORKERS_GROUP, [delivery])
    async with asyncio.timeout(20):
        control = decode(await heard).data
    assert isinstance(control, Control)
    assert control.acknowledged[0] == result.execution_id
    await listening.close()
    view = await system.until(workflow, lambda view: view.tasks[0].status == "succeeded")
    assert view.tasks[0].attempt == 1

    await system.refusals(workflow, 2)
    assert (await system.kinds(workflow)).count("task.succeeded") == 1


async def test_a_dead_workers_task_runs_again_and_its_late_outcome_is_refused(  # I3
    system: System, hand: Hand
) -> None:
    workflow = await submitted(system, plan(item("a")))
    _, old = await hand.take()
    await hand.leave("died")
    other = Hand(system.bus, "hand-2")
    delivery, new = await other.take()
    assert (new.data.attempt, old.data.attempt) == (2, 1)
    assert new.id != old.id
    await hand.report(old, outcome(old.id, worker_id=hand.name, summary="zombie"))
    await other.finish(delivery, new, outcome(new.id, worker_id=other.name, summary="living"))
    view = await system.ended(workflow)
    assert (view.tasks[0].summary, view.tasks[0].crashes) == ("living", 1)
    assert "outcome.refused" in await system.kinds(workflow)


async def test_what_a_silent_worker_held_goes_to_another_as_it_is(system: System, hand: Hand) -> None:
    workflow = await submitted(system, plan(item("a")))
    _, held = await hand.take()
    other = Hand(system.bus, "hand-2")
    given = await other.work()
    view = await system.ended(workflow)
    assert given.id == held.id
    assert (view.tasks[0].attempt, view.tasks[0].crashes) == (1, 0)
    assert "task.passed_on" in await system.kinds(workflow)


async def test_a_worker_that_dies_before_it_was_heard_of_loses_its_task_too(  # I1
    system: System, hand: Hand
) -> None:
    await system.settle()
    workflow = await submitted(system, plan(item("a")))
    hand.streams = (STREAM,)  # an owner that never heard of it makes no group for suspects
    await system.until(workflow, lambda view: view.tasks[0].status == "dispatched")
    async with asyncio.timeout(20):
        while not await hand.read():
            pass
    await Hand(system.bus, "hand-2").work()
    task = (await system.ended(workflow)).tasks[0]
    assert (task.attempt, task.crashes) == (1, 0), "nobody knows whether it is dead"


async def test_a_supervisor_may_report_a_death_that_nobody_expected(system: System, hand: Hand) -> None:
    await system.settle()
    workflow = await submitted(system, plan(item("a")))
    hand.streams = (STREAM,)  # an owner that never heard of it makes no group for suspects
    await system.until(workflow, lambda view: view.tasks[0].status == "dispatched")
    async with asyncio.timeout(20):
        while not await hand.read():
            pass
    await hand.leave("died")
    await Hand(system.bus, "hand-2").work()
    assert (await system.ended(workflow)).tasks[0].attempt == 2


async def test_what_a_stopped_worker_hands_back_costs_no_attempt(system: System, hand: Hand) -> None:
    workflow = await submitted(system, plan(item("a")))
    _, request = await hand.take()
    await hand.leave("stopped", (request.id,))
    again = await Hand(system.bus, "hand-2").work()
    assert again.id == request.id
    view = await system.ended(workflow)
    assert (view.tasks[0].attempt, view.tasks[0].crashes) == (1, 0)


async def test_a_failed_attempt_is_tried_again(system: System, hand: Hand) -> None:
    workflow = await submitted(system, plan(item("a", max_retries=1)))
    delivery, request = await hand.take()
    await hand.finish(delivery, request, failed(request.id, worker_id=hand.name))
    await hand.work()
    view = await system.ended(workflow)
    assert (view.header.status, view.tasks[0].attempt, view.tasks[0].failures) == ("completed", 2, 1)


async def test_a_killed_owner_goes_on_where_it_stood(system: System, hand: Hand) -> None:  # I4
    workflow = await submitted(system)
    await hand.work()
    await system.until(workflow, lambda view: view.tasks[0].status == "succeeded")
    delivery, request = await hand.take()
    await system.kill()
    await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name))
    await system.start()
    await hand.beat()
    view = await system.ended(workflow)
    assert [task.attempt for task in view.tasks] == [1, 1]


async def test_a_flushed_redis_loses_nothing(system: System, hand: Hand) -> None:  # I5
    workflow = await submitted(system, plan(item("a")))
    await system.until(workflow, lambda view: view.tasks[0].status == "dispatched")
    system.redis.flush()
    await hand.work()
    view = await system.ended(workflow)
    assert [task.attempt for task in view.tasks] == [1]


async def test_after_a_flush_a_worker_of_several_roles_reads_again(system: System, hand: Hand) -> None:  # I5
    """It reads all its streams at once; the group of one on which nothing is out would keep it from all."""
    hand.streams = (*STREAMS, Channels.requests("other"))
    workflow = await submitted(system, plan(item("a"), item("b", "a")))
    await hand.work()
    system.redis.flush()
    await hand.work()
    assert (await system.ended(workflow)).header.status == "completed"


@pytest.mark.parametrize(
    "words", [("DEL", STREAM), ("XGROUP", "DESTROY", STREAM, Channels.WORKERS_GROUP)], ids=["stream", "group"]
)
async def test_a_request_stream_that_somebody_deletes_is_filled_again(  # I5
    system: System, hand: Hand, words: tuple[str, ...]
) -> None:
    """The server is the one it was, and the worker is no newcomer: nobody announces the loss."""
    await hand.beat()
    workflow = await submitted(system, plan(item("a")))
    await system.until(workflow, lambda view: view.tasks[0].status == "dispatched")
    async with asyncio.timeout(20):
        while await system.bus.depth(STREAM) == 0:  # noqa: ASYNC110 - polls a server
            await asyncio.sleep(0.02)
    system.redis.command(*words)
    await hand.work()
    view = await system.ended(workflow)
    assert [task.attempt for task in view.tasks] == [1]


async def test_nonsense_on_a_result_stream_is_put_aside(system: System, hand: Hand) -> None:  # I7
    workflow = await submitted(system)
    await hand.work()
    raw = b"\xff\xfe not an event"
    await system.bus.publish([Outgoing(Channels.results(3), raw)])
    await hand.work()
    assert (await system.ended(workflow)).header.status == "completed"
    assert await system.bus.depth(Channels.results(3)) == 0


async def test_a_message_that_was_put_aside_is_published_again_by_retry(system: System) -> None:  # I7
    raw = b"\xff\xfe not an event"
    await system.bus.publish([Outgoing(Channels.results(3), raw)])
    [letter] = await system.letters(1)
    assert (letter.raw, letter.stream, letter.task_id) == (raw, Channels.results(3), None)
    retried = await system.client.retry_dead_letter(letter.dead_letter_id, "me")
    assert await system.client.result(retried, 20) == ACCEPTED
    [first_one, second_one] = await system.letters(2)
    assert (first_one.resolution, second_one.raw, second_one.resolution) == ("retried", raw, None)
    for command in (system.client.retry_dead_letter, system.client.discard_dead_letter):
        again = await command(letter.dead_letter_id, "me")
        assert "retried already" in str(await system.client.result(again, 20))
    discarded = await system.client.discard_dead_letter(second_one.dead_letter_id, "me")
    assert await system.client.result(discarded, 20) == ACCEPTED
    assert await system.client.dead_letters() == []


@pytest.mark.parametrize("by_letter", [True, False])
async def test_a_task_that_was_given_up_leaves_its_dispatch_and_its_workers_last_words(  # I7
    system: System, by_letter: bool
) -> None:
    workflow = await submitted(system, plan(item("a")))
    for number in range(3):
        hand = Hand(system.bus, f"hand-{number}")
        delivery, request = await hand.take()
        await hand.leave("died", logs=f"words of {hand.name}")
    assert (await system.ended(workflow)).tasks[0].status == "dead_lettered"
    assert delivery.stream == Channels.suspects("coder")
    [letter] = await system.letters(1)
    assert (letter.workflow_id, letter.task_id, letter.raw) == (workflow, "a", delivery.payload)
    assert (letter.logs, decode(letter.raw).id) == ("words of hand-2", request.id)
    retried = await (
        system.client.retry_dead_letter(letter.dead_letter_id, "me")
        if by_letter
        else system.client.retry(workflow, None, "me")
    )
    assert await system.client.result(retried, 20) == ACCEPTED
    await Hand(system.bus, "hand-9").work()
    await system.until(workflow, lambda view: view.header.status == "completed")
    assert [one.resolution for one in await system.letters(1)] == ["retried"]


async def test_a_death_that_two_tasks_share_is_held_against_neither(system: System, hand: Hand) -> None:  # I7
    workflow = await submitted(system, plan(item("a"), item("b")))
    for _ in range(2):
        await hand.take()
    await hand.leave("died")
    other = Hand(system.bus, "hand-2")
    for _ in range(2):
        assert (await other.work()).data.attempt == 2
    tasks = (await system.ended(workflow)).tasks
    assert [(task.status, task.crashes, task.suspect) for task in tasks] == [("succeeded", 0, False)] * 2


async def test_a_command_that_meets_an_error_of_ours_is_answered_and_ends_no_session(  # I7
    system: System, hand: Hand
) -> None:
    broken = plan(item("a", "nowhere"))
    workflow = await submitted(system, broken)
    await system.until(workflow, lambda view: view.header.status == "running")
    cancelled = await system.client.cancel(workflow, "me")
    assert await system.client.result(cancelled, 20) == ACCEPTED
    retried = await system.client.retry(workflow, None, "me")
    assert "error of the program: KeyError" in str(await system.client.result(retried, 20))
    other = await submitted(system, plan(item("a")))
    await hand.work()
    assert (await system.ended(other)).header.status == "completed"
    assert system.owner is not None
    assert system.owner.metrics.recoveries._value.get() == 1


async def test_cancelling_recalls_the_execution(system: System, hand: Hand) -> None:
    workflow = await submitted(system)
    listening = system.bus.subscribe([Channels.control(hand.name)])
    heard = first(listening)
    _, request = await hand.take()
    command = await system.client.cancel(workflow, "me")
    assert await system.client.result(command, 20) == ACCEPTED
    async with asyncio.timeout(20):
        control = decode(await heard).data
    assert isinstance(control, Control)
    assert control.recalled == (request.id,)
    await listening.close()
    assert (await system.ended(workflow)).header.status == "cancelled"


async def test_an_approval_is_waited_for_and_bound_to_its_action(system: System, hand: Hand) -> None:
    workflow = await submitted(system, plan(item("a", requires_approval=True)))
    view = await system.until(workflow, lambda view: view.stands_still)
    wrong = await system.client.approve(workflow, "a", "0" * 64, "me")
    assert "not what was approved" in str(await system.client.result(wrong, 20))
    right = await system.client.approve(workflow, "a", view.action_hash("a"), "me")
    assert await system.client.result(right, 20) == ACCEPTED
    await hand.work()
    assert (await system.ended(workflow)).header.status == "completed"


async def test_a_failed_workflow_is_taken_up_again_by_retry(system: System, hand: Hand) -> None:
    workflow = await submitted(system, plan(item("a", max_retries=0)))
    delivery, request = await hand.take()
    await hand.finish(delivery, request, failed(request.id, worker_id=hand.name))
    assert (await system.ended(workflow)).header.status == "failed"
    command = await system.client.retry(workflow, None, "me")
    assert await system.client.result(command, 20) == ACCEPTED
    await hand.work()
    assert (await system.until(workflow, lambda view: view.header.status == "completed")).tasks[
        0
    ].attempt == 2


async def test_more_ready_tasks_than_the_window_wait_in_the_database(
    system: System, hand: Hand
) -> None:  # I9
    many = plan(*(item(f"t{n}", output_artifacts=()) for n in range(1100)))
    workflow = await submitted(system, many)
    await system.until(workflow, lambda view: any(task.status == "dispatched" for task in view.tasks))
    async with asyncio.timeout(20):
        while (depth := await system.bus.depth(STREAM)) < 1024:  # noqa: ASYNC110 - polls Redis
            await asyncio.sleep(0.02)
    assert depth == 1024
    await hand.work()
    await system.until(workflow, lambda view: sum(task.status == "dispatched" for task in view.tasks) == 1024)


async def test_a_role_that_nobody_serves_holds_up_no_other(system: System, hand: Hand) -> None:
    await submitted(system, plan(*(item(f"t{n}", role="nobody", output_artifacts=()) for n in range(1100))))
    workflow = await submitted(system, plan(item("a")))
    await hand.work()
    assert (await system.ended(workflow)).header.status == "completed"


async def test_a_commit_that_is_not_there_holds_up_no_other_workflow(system: System, hand: Hand) -> None:
    for _ in range(2):
        await submitted(system, plan(item("a")))
    names = {}
    for number in range(2):
        delivery, request = await hand.take()
        commit = "0" * 39 + "1" if number == 0 else await written(system.store, request)
        names[number] = str(request.workflowid)
        await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
    assert (await system.ended(names[1])).header.status == "completed"
    assert (await system.ended(names[0])).header.status == "failed"


async def test_a_command_that_cannot_be_applied_is_refused_and_stops_nothing(  # I7
    system: System, hand: Hand
) -> None:
    with pytest.raises(InvalidInput, match="workflow id"):
        await system.client.submit(CHAIN, workflow_id="bad id")
    row = {"command_id": "x", "kind": "submit", "workflow_id": "bad id", "body": "{}", "created_at": 0.0}
    await system.database.write(lambda connection: connection.execute(insert(commands).values(**row)))
    assert "workflow id" in str(await system.client.result("x", 20))
    workflow = await submitted(system)
    await hand.work()
    await hand.work()
    assert (await system.ended(workflow)).header.status == "completed"


async def test_a_dispatch_that_a_worker_cannot_read_fails_its_attempt(
    system: System, hand: Hand
) -> None:  # I1
    workflow = await submitted(system, plan(item("a", max_retries=0)))
    delivery, _ = await hand.take()
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
    await system.bus.publish([Outgoing(Channels.DEAD_LETTERS, encode(event))])
    view = await system.ended(workflow)
    assert "too new for me" in view.header.reason


async def test_a_second_owner_goes_on_when_the_first_is_killed(system: System, hand: Hand) -> None:  # I4
    assert system.owner is not None
    second = OrchestratorService(
        Store(system.database),
        open_message_bus(system.redis.url),
        system.store,
        OrchestratorSettings("second", lease_seconds=LEASE_SECONDS),
        metrics=OrchestratorMetrics(CollectorRegistry()),
    )
    waiting = asyncio.create_task(second.run())
    workflow = await submitted(system)
    await hand.work()
    await system.kill()
    await asyncio.wait_for(second.ready.wait(), 20)
    await hand.work()
    assert (await system.ended(workflow)).header.status == "completed"
    second.stop()
    await waiting
    await second.bus.close()
    await system.start()
