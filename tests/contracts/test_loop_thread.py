"""Asynchronous work for callers without a loop: what is interrupted or left behind still ends."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from contracts.base.loop_thread import LoopThread


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
    with pytest.raises(KeyboardInterrupt):
        thread.run(work())
    assert steps == ["cleaned up"]
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
