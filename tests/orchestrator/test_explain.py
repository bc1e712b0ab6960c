"""What `why` says, from made-up situations and from a real system."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

from contracts.messages.channels import Channels
from contracts.messages.journal import TaskDelayed, TaskPassedOn
from orchestrator.core.events import Finished, Lost, MergeFailed
from orchestrator.diagnosis.explain import Holder, Observations, explain
from orchestrator.diagnosis.observe import observe_surroundings
from orchestrator.storage.sql.database import open_database
from tests.orchestrator.hand import Hand
from tests.orchestrator.plans import Play, failed, item, plan
from tests.orchestrator.system import LEASE_SECONDS, running
from tests.release.history import write_history
from tests.support.redis_servers import PrivateRedis

STREAM = Channels.requests("coder")
SERVED = Observations(now=100.0, slots={STREAM: 1})


def said(play: Play, around: Observations = SERVED) -> dict[str | None, tuple[str, str]]:
    return {one.task_id: (one.code, one.text) for one in explain(play.workflow, around)}


def test_a_dependency_is_followed_to_what_holds_it_up() -> None:
    play = Play(plan(item("a", requires_approval=True), item("b", "a"), item("c", "b")))
    reasons = said(play)
    assert reasons["a"] == ("approval", "waits for approval")
    assert reasons["b"][1] == f"waits for a, which {reasons['a'][1]}"
    assert reasons["c"][1] == f"waits for b, which waits for a, which {reasons['a'][1]}"


def test_a_blocked_task_names_the_one_that_failed() -> None:
    play = Play(plan(item("a", max_retries=0), item("b", "a"), item("c", "b")))
    play.give(Finished("a", failed(play.dispatch("a"))))
    assert said(play)["c"] == ("blocked", "is blocked by a, which is failed: it broke")


def test_an_ended_workflow_says_why_it_failed() -> None:
    play = Play(plan(item("a", max_retries=0), item("b", "a"), item("c")))
    play.give(Finished("a", failed(play.dispatch("a"))))
    play.succeed("c")
    assert play.workflow.header.status == "failed"
    assert said(play) == {
        "a": ("broken", "is failed: it broke"),
        "b": ("blocked", "is blocked by a, which is failed: it broke"),
    }
    merging = Play(plan(item("a")))
    merging.succeed("a")
    merging.give(MergeFailed("both changed x"))
    assert said(merging) == {None: ("failed", "the outcomes could not be merged: both changed x")}


def test_a_dead_lettered_task_is_called_that() -> None:
    play = Play(plan(item("a"), item("b", "a")))
    for _ in range(3):
        play.give(Lost("a", play.dispatch("a"), "w1"))
    assert "a, which is dead-lettered" in said(play)["b"][1]


def test_a_retry_and_an_outage_have_a_time_and_a_cause() -> None:
    play = Play(plan(item("a")))
    play.give(Finished("a", failed(play.dispatch("a"))))
    assert said(play)["a"] == ("retry", "is tried again at 1970-01-01T00:01:41Z after: it broke")
    delayed = replace(SERVED, delays={"a": TaskDelayed("a", 1, "unavailable", "no sandbox", 1.0)})
    assert said(play, delayed)["a"][0] == "outage"
    assert "after: no sandbox" in said(play, delayed)["a"][1]
    assert said(play, replace(SERVED, now=102.0))["a"][0] == "unknown"


def test_a_ready_task_needs_a_worker_and_a_slot() -> None:
    play = Play(plan(item("a")))
    assert said(play, Observations(now=100.0))["a"] == ("no_worker", "no worker serves role coder")
    full = replace(SERVED, out=Counter({STREAM: 1}), ready=Counter({STREAM: 3}))
    assert said(play, full)["a"] == (
        "busy",
        "all 1 slots of role coder are busy: 1 dispatched, 3 more ready",
    )


def test_a_dispatched_task_is_with_the_worker_that_said_so() -> None:
    play = Play(plan(item("a")))
    dispatch = play.dispatch("a")
    assert said(play)["a"][0] == "dispatched"
    assert said(play, Observations(now=100.0))["a"][0] == "no_worker"
    assert said(play, replace(SERVED, out=Counter({STREAM: 2})))["a"][0] == "busy"
    held = replace(SERVED, holders={dispatch: Holder("w1", started=True)})
    assert said(play, held)["a"] == ("running", "is run by worker w1, dispatched since 1970-01-01T00:01:40Z")
    held = replace(SERVED, holders={dispatch: Holder("w1", started=False)})
    assert said(play, held)["a"][0] == "busy"


def test_what_a_silent_worker_held_is_with_others() -> None:
    play = Play(plan(item("a")))
    dispatch = play.dispatch("a")
    given = replace(SERVED, delays={"a": TaskPassedOn("a", 1, dispatch, "w1")})
    code, text = said(play, given)["a"]
    assert code == "passed_on"
    assert text.endswith("worker w1 is silent; what it held was given to others")
    older = replace(SERVED, delays={"a": TaskPassedOn("a", 1, "an older dispatch", "w1")})
    assert said(play, older)["a"][0] == "dispatched"
    back = replace(given, holders={dispatch: Holder("w2", started=True)})
    assert said(play, back)["a"][0] == "running"


def test_no_orchestrator_and_a_queued_command_are_said_of_the_workflow() -> None:
    around = Observations(now=100.0, commands=(("submit", 60.0),), orchestrator_alive=False)
    assert [one.code for one in explain(None, around)] == ["command_queued", "no_orchestrator"]
    assert "since 1970-01-01T00:01:00Z" in explain(None, around)[0].text


async def test_a_running_system_is_asked(database_url: str, redis: PrivateRedis, tmp_path: Path) -> None:
    async with running(database_url, redis, tmp_path) as system:
        workflow = await system.client.submit(plan(item("a"), item("b", "a"), item("c", role="reviewer")))
        hand = Hand(system.bus)
        await hand.take()
        await system.until(workflow, lambda view: view.tasks[2].status == "dispatched")
        async with asyncio.timeout(20):
            while not await system.client.workers():  # noqa: ASYNC110 - polls a database
                await asyncio.sleep(0.02)
        found, around = await observe_surroundings(
            system.database, None, workflow, listen_seconds=LEASE_SECONDS
        )
        assert around.orchestrator_alive is True
        assert {one.task_id: one.code for one in explain(found, around)} == {
            "a": "dispatched",
            "b": "dependency",
            "c": "no_worker",
        }
        beating = asyncio.create_task(_beats(hand))
        found, around = await observe_surroundings(
            system.database, system.bus, workflow, listen_seconds=LEASE_SECONDS
        )
        beating.cancel()
        assert [one.worker_id for one in around.holders.values()] == [hand.name]
        await system.stop()
        await system.client.cancel(workflow, "me")
        found, around = await observe_surroundings(system.database, None, workflow, listen_seconds=0.0)
        assert around.orchestrator_alive is not True
        assert explain(found, around)[0].code == "command_queued"


async def test_nobody_is_waited_for_where_a_workflow_has_ended(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    await write_history(url)
    database = open_database(url)
    async with asyncio.timeout(10):
        found, around = await observe_surroundings(database, None, "failed", listen_seconds=60.0)
    await database.close()
    assert found is not None
    assert around.orchestrator_alive is None, "nobody looked"


async def _beats(hand: Hand) -> None:
    while True:
        await hand.beat()
        await asyncio.sleep(0.1)
