"""Waiting sandboxes, by every backend: used once, replaced, found dead before use, gone at the end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from contracts.ports.sandbox import Sandbox, SandboxLimits
from sandbox_runner import SandboxSettings, choose_sandbox
from sandbox_runner.engine import pool
from sandbox_runner.guest.wire import SILENCE_SECONDS
from tests.sandbox.conftest import BACKENDS
from tests.sandbox.leftovers import Leftovers, sandboxes_of
from tests.sandbox.probing import FAST, ask, new_marker, processes_with, python, run, until
from tests.support.docker_engine import IMAGE


@asynccontextmanager
async def _open(settings: SandboxSettings, warm: int = 1) -> AsyncIterator[Sandbox]:
    sandbox = await choose_sandbox(replace(settings, warm=warm))
    try:
        yield sandbox
    finally:
        await sandbox.close()


def _waiting(sandbox: Sandbox) -> list[int]:
    """Ids of process 1 of all sandboxes that wait."""
    return sandboxes_of(os.getpid(), sandbox)


async def _one_waits(sandbox: Sandbox) -> int:
    found: list[int] = []

    def one() -> bool:
        found[:] = _waiting(sandbox)
        return len(found) == 1

    await until("a sandbox waits", one)
    return found[0]


async def test_nothing_is_started_without_being_wanted(settings: SandboxSettings) -> None:
    async with _open(settings, warm=0) as sandbox:
        await run(sandbox, "true")
        await asyncio.sleep(1)
        assert _waiting(sandbox) == []


async def test_one_waits_for_the_first_use_where_any_will_do(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        if settings.backend == "docker":  # its containers are made for their limits
            await asyncio.sleep(1)
            assert _waiting(sandbox) == []
        else:
            await _one_waits(sandbox)


async def test_each_is_used_once_and_replaced(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        await run(sandbox, "true")
        used = set()
        for number in range(3):
            used.add(await _one_waits(sandbox))
            assert len(used) == number + 1
            seen = await ask(
                sandbox,
                "open('/tmp/x', 'x').close(); open('/work/y', 'x').close()\n"
                "print(json.dumps([os.listdir('/tmp'), sorted(os.listdir('/work'))]))",
            )
            assert seen == [["x"], ["probe.py", "y"]]
    assert used.isdisjoint(_waiting(sandbox))


async def test_what_waits_is_what_is_used(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        await run(sandbox, "true")
        waiting = await _one_waits(sandbox)
        marker = new_marker()
        task = asyncio.create_task(run(sandbox, "sleep", marker))
        try:
            await until("the program starts", lambda: processes_with(marker))
            (program,) = processes_with(marker)
            assert _parent(program) == waiting
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert processes_with(marker) == []


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])


async def test_limits_hold_in_one_that_waited(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        limits = SandboxLimits(wall_seconds=2, memory_mb=128, processes=20, disk_mb=1)
        await run(sandbox, "true", limits=limits)
        await _one_waits(sandbox)
        full = await python(sandbox, "open('big', 'wb').write(b'x' * 3_000_000)", limits=limits)
        assert full.verdict == "failed"
        await _one_waits(sandbox)
        late = await run(sandbox, "sleep", "60", limits=limits)
        assert late.verdict == "timeout"
        await _one_waits(sandbox)
        eater = "b = []\nwhile True: b.append(b'x' * 4_000_000)"
        assert (await python(sandbox, eater, limits=limits)).verdict == "oom"


async def test_one_that_died_is_replaced_before_anybody_notices(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        await run(sandbox, "true")
        for _ in range(3):
            os.kill(await _one_waits(sandbox), signal.SIGKILL)
            # At once, before the loop could hear of it.
            assert (await run(sandbox, "true")).verdict == "ok"
        dead = await _one_waits(sandbox)
        # Its process shows before its start is over, and a start that failed is not repeated.
        await asyncio.sleep(2)
        os.kill(dead, signal.SIGKILL)
        await until("another waits", lambda: _waiting(sandbox) not in ([], [dead]))


@pytest.mark.slow
async def test_they_wait_for_longer_than_silence_and_need_no_cpu(docker_host: str, toolbox: Path) -> None:
    settings = SandboxSettings(docker_host=docker_host, image=IMAGE, toolbox=toolbox)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(_open(replace(settings, backend=backend))) for backend in BACKENDS
        ]
        await asyncio.gather(*(run(sandbox, "true") for sandbox in opened))
        # A look for the descendants of this process finds bubblewrap's and ours alike.
        await until("three wait", lambda: {len(_waiting(sandbox)) for sandbox in opened} == {1, 2})
        waiting = [_waiting(sandbox) for sandbox in opened]
        await asyncio.sleep(1)
        before = _cpu_seconds(waiting)
        await asyncio.sleep(SILENCE_SECONDS + 2)
        assert [_waiting(sandbox) for sandbox in opened] == waiting
        assert _cpu_seconds(waiting) - before <= 0.05
        results = await asyncio.gather(*(run(sandbox, "true") for sandbox in opened))
        assert {result.verdict for result in results} == {"ok"}


def _cpu_seconds(processes: list[list[int]]) -> float:
    return sum(_cpu_seconds_of(pid) for pid in set(chain.from_iterable(processes)))


def _cpu_seconds_of(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def test_calls_with_many_limits_keep_few_waiting(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        kinds = [replace(FAST, memory_mb=200 + number) for number in range(pool.MAX_KEYS + 2)]
        results = await asyncio.gather(*(run(sandbox, "true", limits=limits) for limits in kinds))
        assert {result.verdict for result in results} == {"ok"}
        most = pool.MAX_KEYS if settings.backend == "docker" else 1
        await until("all that should wait do", lambda: len(_waiting(sandbox)) == most)


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.25, 0.4, 1.0])
async def test_closing_at_any_time_leaves_nothing(settings: SandboxSettings, delay: float) -> None:
    async with _open(settings, warm=2) as sandbox:
        leftovers = Leftovers.now(sandbox, str(settings.toolbox))
        await run(sandbox, "true")
        await asyncio.sleep(delay)
        await sandbox.close()
        assert leftovers.since(sandbox, str(settings.toolbox)) == {}


async def test_a_cancelled_call_leaves_nothing_but_what_waits(settings: SandboxSettings) -> None:
    async with _open(settings) as sandbox:
        await run(sandbox, "true")
        for delay in (0.0, 0.001, 0.01, 0.05):
            await _one_waits(sandbox)
            marker = new_marker()
            task = asyncio.create_task(run(sandbox, "sleep", marker))
            await asyncio.sleep(delay)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert processes_with(marker) == []
        await _one_waits(sandbox)
