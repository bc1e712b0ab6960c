"""A process short of descriptors burns no retries, and a fresh one takes its place."""

from __future__ import annotations

import resource

from contracts.messages.payloads import TaskOutcome
from tests.agents.owner import until
from tests.keeper.house import KeptWorker, is_running

WRITES = {"files": {"a.txt": "text"}}


def _starve(pid: int, room: int) -> None:
    """Let the process open no more than so many descriptors in all; those it has stay open."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, room))


async def _outcome(worker: KeptWorker, name: str) -> TaskOutcome:
    outcome = await worker.owner.outcome()
    while outcome.dispatch_id != name:
        outcome = await worker.owner.outcome()
    await worker.tell(outcome.worker_id, acknowledged=[outcome.execution_id])
    return outcome


async def _slot_of(worker: KeptWorker, role: str) -> int:
    """The process that serves this role and no suspects."""

    def pids() -> list[int]:
        return [one.pid for one in worker.latest.values() if one.roles == (role,)]

    await until(lambda: len(pids()) == 1)
    return pids()[0]


async def test_a_starved_process_burns_no_retry_and_is_replaced(worker: KeptWorker) -> None:
    worker.start("--slots", "1")
    await worker.ready(3)
    pid = await _slot_of(worker, "lasting")
    # What is starved while it still starts ends without a word of any task.
    await worker.dispatch("before", WRITES)
    before = await _outcome(worker, "before")
    assert before.status == "succeeded"
    _starve(pid, 5)
    await worker.dispatch("starved", WRITES)
    starved = await _outcome(worker, "starved")
    # Whether the process notices by this task or before it reads on is a matter of moments.
    if starved.error is None:
        assert starved.worker_id != before.worker_id, "a process short of descriptors did the work"
    else:
        assert starved.error.outage, starved.error
    await until(lambda: not is_running(pid))
    await worker.dispatch("again", WRITES)
    assert (await _outcome(worker, "again")).status == "succeeded"


async def test_the_leak_of_one_agent_is_not_paid_by_the_next(worker: KeptWorker) -> None:
    worker.start("--slots", "1")
    await worker.ready(3)
    pid = await _slot_of(worker, "lasting")
    _starve(pid, 60)
    await worker.dispatch("leaks", {"leak": 100})
    leaks = (await _outcome(worker, "leaks")).error
    assert leaks is not None
    assert (leaks.code, leaks.outage) == ("agent_crashed", False), "in a fresh process it is its own fault"
    await worker.dispatch("innocent", WRITES)
    innocent = await _outcome(worker, "innocent")
    if innocent.error is not None:
        # Whether the process notices before it reads on, or by this task, is a matter of moments.
        assert innocent.error.outage, innocent.error
    await until(lambda: not is_running(pid))
    assert {left.reason for left in worker.owner.left} == {"stopped"}, "not even an uncounted crash"
    await worker.dispatch("again", WRITES)
    assert (await _outcome(worker, "again")).status == "succeeded"


async def test_what_an_agent_itself_meets_in_a_used_process_is_an_outage(worker: KeptWorker) -> None:
    worker.start("--slots", "1")
    await worker.ready(3)
    pid = await _slot_of(worker, "lasting")
    await worker.dispatch("first", {})
    await _outcome(worker, "first")
    await worker.dispatch("second", {"short": 1})
    error = (await _outcome(worker, "second")).error
    assert error is not None
    assert (error.code, error.outage) == ("unavailable", True)
    await until(lambda: not is_running(pid))
