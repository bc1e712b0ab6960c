"""Runs coroutines for callers without an event loop, or with one of their own."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """One event loop in one thread, from the first `run` to `close`. May be used from any thread.

    Connections belong to the loop that opened them, and child processes to the thread that started them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: weakref.finalize[[asyncio.AbstractEventLoop, threading.Thread], LoopThread] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the result of `work`. Interrupting the wait cancels the work, and waits for its end."""
        loop = self._started()
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                asyncio.run_coroutine_threadsafe(_ended(work), loop).result()
            raise

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
                thread.start()
                self._stop = weakref.finalize(self, _stop, self._loop, thread)
            return self._loop

    def close(self) -> None:
        """Cancel what still runs, wait for its end, and end the thread. Again is a no-op."""
        with self._lock:
            if self._stop is not None:
                self._stop()
            self._loop = self._stop = None


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if threading.current_thread() is thread:
        # Collected as garbage in its own thread, which cannot wait for itself.
        loop.stop()
        return
    asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _ended(work: Coroutine[Any, Any, object]) -> None:
    tasks = [task for task in asyncio.all_tasks() if task.get_coro() is work]
    await asyncio.gather(*tasks, return_exceptions=True)


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
