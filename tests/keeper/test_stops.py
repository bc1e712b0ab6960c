"""Starting, stopping and being killed: nothing outlives its keeper, and what is wrong is said in one line."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.agents.owner import until
from tests.keeper.house import KEEPER, KeptWorker, is_running, parent_of


async def test_each_slot_process_is_a_worker_of_its_keeper(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await until(lambda: len(worker.latest) == 4)
    assert {beat.keeper_id for beat in worker.latest.values()} == {KEEPER}
    parts = {(beat.roles, beat.streams, beat.slots) for beat in worker.latest.values()}
    suspects = ("agent.suspects.brief", "agent.suspects.lasting")
    assert parts == {
        (("brief",), ("agent.requests.brief",), 2),
        (("lasting",), ("agent.requests.lasting",), 1),
        (("brief", "lasting"), suspects, 1),
    }
    await worker.dispatch("long", {}, role="lasting")
    await worker.dispatch("short", {}, role="brief")
    ran = {one.data.dispatch_id: one.data.worker_id for one in await worker.owner.outcomes(2)}
    assert worker.latest[ran["long"]].roles == ("lasting",)
    assert worker.latest[ran["short"]].roles == ("brief",)


async def test_on_sigterm_what_runs_may_finish_and_all_is_over(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("t", {"wait": worker.mark("go"), "started": worker.mark("pid")})
    await worker.marked("pid")
    assert worker.process is not None
    worker.process.send_signal(signal.SIGTERM)
    (worker.folder / "go").touch()
    assert (await worker.owner.outcome()).status == "succeeded"
    assert worker.process.wait(10) == 0
    assert worker.living() == []
    await until(lambda: {left.worker_id for left in worker.owner.left} >= set(worker.latest))


async def test_on_sigterm_an_agent_that_blocks_is_killed_and_handed_back_within_ten_seconds(
    worker: KeptWorker,
) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("stuck", {"block": 60, "started": worker.mark("pid")})
    await worker.marked("pid")
    began = time.monotonic()
    assert worker.stop(30) == 0
    assert time.monotonic() - began < 10
    await until(lambda: any(left.handed_back == ("stuck",) for left in worker.owner.left))
    assert {left.reason for left in worker.owner.left} == {"stopped"}


async def test_kill_9_of_the_keeper_ends_its_processes(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("t", {"block": 60, "started": worker.mark("pid")})
    pid = await worker.marked("pid")
    assert worker.process is not None
    worker.process.kill()
    await until(lambda: not is_running(pid))
    worker.process.wait()
    assert worker.living() == []


async def test_the_death_of_the_fork_server_is_told_as_that_of_the_keeper(worker: KeptWorker) -> None:
    worker.start()
    await worker.ready()
    await worker.dispatch("t", {"wait": worker.mark("go"), "started": worker.mark("pid")})
    slot = await worker.marked("pid")
    os.kill(parent_of(slot), signal.SIGKILL)
    await until(lambda: bool(worker.owner.left))
    assert (worker.owner.left[0].worker_id, worker.owner.left[0].reason) == (KEEPER, "died")
    assert worker.process is not None
    assert worker.process.wait(10) == 1
    assert "Traceback" not in worker.log.read_text()
    assert worker.living() == []


@pytest.mark.parametrize(
    ("words", "env", "message"),
    [
        (("--agents", "no_such_module"), {}, "Error: agents module 'no_such_module' cannot be imported"),
        (("--role", "painter"), {}, "Error: no agent serves the role 'painter'"),
        ((), {"MULTI_AGENT_MODEL": "gemini:some"}, "GEMINI_API_KEY"),
        ((), {"MULTI_AGENT_WORKER_MEMORY_MB": "8"}, "MULTI_AGENT_WORKER_MEMORY_MB"),
        ((), {"REDIS_URL": ""}, "no Redis is known"),
    ],
)
async def test_a_mistake_is_one_line_and_exit_code_two(
    worker: KeptWorker, words: tuple[str, ...], env: dict[str, str], message: str
) -> None:
    worker.start(*words, **env)
    assert worker.process is not None
    assert worker.process.wait(60) == 2
    log = worker.log.read_text()
    assert message in log
    assert "Traceback" not in log
    assert worker.living() == []
