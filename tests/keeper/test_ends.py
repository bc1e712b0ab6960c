"""Deadline, recall, memory limit and death always end an agent, and nothing beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from contracts.messages.channels import Channels
from contracts.messages.payloads import TaskOutcome, WorkerLeft
from tests.agents.owner import until
from tests.keeper.house import LASTING, KeptWorker, is_running


async def _outcomes(worker: KeptWorker, *names: str) -> dict[str, TaskOutcome]:
    """The first outcome of each of these, confirmed as an orchestrator does."""
    found: dict[str, TaskOutcome] = {}
    while set(names) - found.keys():
        outcome = await worker.owner.outcome()
        found.setdefault(outcome.dispatch_id, outcome)
        await worker.tell(outcome.worker_id, acknowledged=[outcome.execution_id])
    return found


async def _left(worker: KeptWorker, outcome: TaskOutcome) -> WorkerLeft:
    """The farewell of the process that had this outcome, which waits until the outcome is confirmed."""

    async def heard() -> bool:
        await worker.tell(outcome.worker_id, acknowledged=[outcome.execution_id])
        return bool(worker.owner.left)

    await until(heard)
    [left] = worker.owner.left
    assert left.worker_id == outcome.worker_id
    return left


@pytest.mark.parametrize("orders", [{"block": 60}, {"compute": 60}, {"swallow": 60}])
async def test_an_agent_that_does_not_end_is_ended_at_its_deadline_and_its_neighbour_goes_on(
    worker: KeptWorker, orders: dict[str, float]
) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("neighbour", {"wait": worker.mark("go")})
    neighbour = await worker.started("neighbour")
    began = time.monotonic()
    await worker.dispatch("stuck", orders, seconds=1)
    outcome = (await _outcomes(worker, "stuck"))["stuck"]
    assert (outcome.status, outcome.error and outcome.error.code) == ("failed", "timeout")
    assert time.monotonic() - began < 8
    left = await _left(worker, outcome)
    assert (left.reason, left.handed_back) == ("stopped", ())
    assert (await worker.started("neighbour")).worker_id == neighbour.worker_id
    (worker.folder / "go").touch()
    assert (await _outcomes(worker, "neighbour"))["neighbour"].status == "succeeded"
    await worker.owner.settled(LASTING)


async def test_a_successor_serves_the_slot_of_one_that_was_ended(worker: KeptWorker) -> None:
    worker.start("--slots", "1")
    await worker.ready(3)
    await worker.dispatch("stuck", {"block": 60}, seconds=1)
    await worker.dispatch("next", {})
    found = await _outcomes(worker, "stuck", "next")
    assert found["next"].status == "succeeded"
    assert found["next"].worker_id != found["stuck"].worker_id


@pytest.mark.parametrize("kind", ["block", "swallow"])
async def test_a_recalled_agent_that_does_not_end_frees_its_slot(worker: KeptWorker, kind: str) -> None:
    worker.start("--slots", "1")
    await worker.ready(3)
    await worker.dispatch("stuck", {kind: 60, "started": worker.mark("stuck")})
    pid = await worker.marked("stuck")
    holder = await worker.started("stuck")
    began = time.monotonic()

    async def ended() -> bool:
        # An orchestrator repeats this whenever a heartbeat lists what is out of date.
        await worker.tell(holder.worker_id, recalled=["stuck"])
        return not is_running(pid)

    await until(ended)
    assert time.monotonic() - began < 4
    await worker.dispatch("next", {})
    assert list(await _outcomes(worker, "next")) == ["next"], "nothing is said of what was recalled"
    await worker.owner.settled(LASTING)


async def test_memory_beyond_the_limit_ends_the_execution_with_the_limit_in_its_outcome(
    worker: KeptWorker,
) -> None:
    worker.start(MULTI_AGENT_WORKER_MEMORY_MB="400")
    await worker.ready()
    await worker.dispatch("large", {"take": 600})
    error = (await _outcomes(worker, "large"))["large"].error
    assert error is not None
    assert (error.code, error.retryable) == ("memory_exceeded", True)
    assert "400 MiB" in error.message
    assert "worker_memory_mb" in error.message


async def test_a_short_agent_that_swallows_is_blamed_alone(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("beside", {"wait": worker.mark("go")}, role="brief")
    await worker.started("beside")
    await worker.dispatch("stuck", {"swallow": 60}, role="brief", seconds=1)
    outcome = (await _outcomes(worker, "stuck"))["stuck"]
    assert outcome.error is not None
    assert outcome.error.code == "timeout"
    left = await _left(worker, outcome)
    assert (left.reason, left.handed_back) == ("stopped", ("beside",))


async def test_when_a_short_agent_blocks_the_others_all_that_share_it_run_alone_next(
    worker: KeptWorker,
) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("beside", {"wait": worker.mark("go")}, role="brief")
    await worker.started("beside")
    await worker.dispatch("stuck", {"block": 60}, role="brief", seconds=1)
    await until(lambda: bool(worker.owner.left))
    [left] = worker.owner.left
    assert left.reason == "died", "nobody knows who blocked: both run again alone, and neither is counted"
    last = [beat for beat in worker.owner.heartbeats if beat.worker_id == left.worker_id][-1]
    assert {held.dispatch_id: held.started for held in last.executions} == {"beside": True, "stuck": True}


async def test_an_exit_that_nobody_ordered_is_reported_within_a_second_with_what_ran(
    worker: KeptWorker,
) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("victim", {"wait": worker.mark("go"), "started": worker.mark("pid")})
    pid = await worker.marked("pid")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: bool(worker.owner.left))
    assert time.monotonic() - began < 1
    [left] = worker.owner.left
    assert left.reason == "died"
    assert "task_taken" in (left.logs or "")
    last = [beat for beat in worker.owner.heartbeats if beat.worker_id == left.worker_id][-1]
    assert [(held.dispatch_id, held.started) for held in last.executions] == [("victim", True)]
    await until(lambda: len(worker.latest) == 4)


async def test_children_of_a_process_that_is_ended_do_not_outlive_it(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("parent", {"child": worker.mark("child")}, seconds=1)
    child = await worker.marked("child")
    await _outcomes(worker, "parent")
    await until(lambda: not is_running(child))


async def test_an_outcome_of_the_keeper_survives_a_bus_that_is_away(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("stuck", {"block": 60, "started": worker.mark("pid")}, seconds=2)
    pid = await worker.marked("pid")
    await worker.started("stuck")
    worker.redis.pause()
    await until(lambda: not is_running(pid))
    await asyncio.sleep(0.5)
    worker.redis.resume()
    outcome = (await _outcomes(worker, "stuck"))["stuck"]
    assert outcome.error is not None
    assert outcome.error.code == "timeout"


async def test_a_suspect_does_not_wait_for_other_work_and_runs_beside_no_other_suspect(
    worker: KeptWorker,
) -> None:
    worker.start("--slots", "1")
    await worker.ready(3)
    await worker.dispatch("long", {"wait": worker.mark("never"), "started": worker.mark("long")})
    await worker.marked("long")
    for name in ("s1", "s2"):
        orders = {"wait": worker.mark(f"end-{name}"), "started": worker.mark(name)}
        await worker.dispatch(name, orders, suspect=True)
    await worker.marked("s1")
    await worker.started("s1")
    assert not (worker.folder / "s2").exists()
    assert await worker.owner.bus.depth(Channels.suspects("lasting")) == 2
    (worker.folder / "end-s1").touch()
    await worker.marked("s2")
    (worker.folder / "end-s2").touch()
    await _outcomes(worker, "s1", "s2")
