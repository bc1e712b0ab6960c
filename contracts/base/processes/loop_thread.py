"""Runs coroutines for callers without an event loop, or with one of their own."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

CLOSE_SECONDS: Final = 10.0
"""How long `close` waits for what it cancelled."""
_JOIN_SECONDS: Final = 1.0


class LoopThread:
    """One event loop in one thread, from the first `run` to `close`. May be used from any thread.

    Connections belong to the loop that opened them, and child processes to the thread that started them.
    """

    def __init__(self, close_seconds: float = CLOSE_SECONDS) -> None:
        self._close_seconds = close_seconds
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: weakref.finalize[..., LoopThread] | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the result of `work`. Interrupting the wait cancels the work, and waits for its end.

        Raises concurrent.futures.CancelledError when `close`, or the end of the interpreter, cancels it.
        """
        loop = self._started()
        if loop is None:
            work.close()
            raise CancelledError
        future = None
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
            return future.result()
        except BaseException:
            # An interrupt may come before the loop has the work, or before this thread has its future.
            if future is None or not future.done():
                asyncio.run_coroutine_threadsafe(_cancel(work), loop).result()
            raise

    def _started(self) -> asyncio.AbstractEventLoop | None:
        """The loop; None once the interpreter has ended it."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
                thread.start()
                self._stop = weakref.finalize(self, _stop, self._loop, thread, self._close_seconds)
            return self._loop if self._stop is not None and self._stop.alive else None

    def close(self) -> None:
        """Cancel what still runs, wait for its end, and end the thread. Again is a no-op.

        After CLOSE_SECONDS the loop is stopped under whatever has not ended by then.
        """
        with self._lock:
            if self._stop is not None:
                self._stop()
            self._loop = self._stop = None


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, seconds: float) -> None:
    if threading.current_thread() is thread:
        # Collected as garbage in its own thread, which cannot wait for itself.
        loop.stop()
        return
    with suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(seconds)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_JOIN_SECONDS)
    if not thread.is_alive():
        loop.close()


async def _cancel(work: Coroutine[Any, Any, object]) -> None:
    await _end({task for task in asyncio.all_tasks() if task.get_coro() is work})
    work.close()


async def _cancel_all() -> None:
    await _end(asyncio.all_tasks() - {asyncio.current_task()})


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
