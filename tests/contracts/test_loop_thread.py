"""Asynchronous work for callers without a loop: what is interrupted or left behind still ends."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import suppress

import pytest

from contracts.base.processes.loop_thread import LoopThread


def test_an_interrupted_wait_lets_the_work_clean_up() -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(steps.append, "cleaned up")

    thread = LoopThread()
    # A process that a shell started in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for _ in range(100):  # whatever the thread that waits is at when the signal comes
            with pytest.raises(KeyboardInterrupt):
                thread.run(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == ["cleaned up"] * 100
    thread.close()


def test_what_still_runs_ends_with_the_thread() -> None:
    steps: list[str] = []
    kept: list[asyncio.Task[None]] = []

    async def background(started: asyncio.Event) -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(steps.append, "ended")

    async def start() -> None:
        started = asyncio.Event()
        kept.append(asyncio.create_task(background(started)))
        await started.wait()

    thread = LoopThread()
    thread.run(start())
    thread.close()
    thread.close()
    assert steps == ["ended"]


def test_what_will_not_be_cancelled_is_not_waited_for_without_end() -> None:
    going_on = threading.Event()
    kept: list[asyncio.Task[None]] = []

    async def stubborn() -> None:
        while not going_on.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def start() -> None:
        kept.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)

    before = set(threading.enumerate())
    thread = LoopThread(close_seconds=0.1)
    thread.run(start())
    (loops,) = set(threading.enumerate()) - before
    closing = threading.Thread(target=thread.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    loops.join(20)
    assert not loops.is_alive()
