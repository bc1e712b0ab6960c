"""Runs coroutines for callers without an event loop, or with one of their own."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

CLOSE_SECONDS: Final = 10.0
"""How long `close` waits for what it cancelled."""
_JOIN_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.5


class _Waited(Generic[T]):
    """A coroutine that one thread waits for and the loop's thread runs.

    The waiting thread may be interrupted at any moment. It therefore shares no lock with the loop's thread,
    as a future would: an interrupt while it held that would stop the loop for good. And it looks up from
    time to time, since a signal that comes just before a wait does not end that wait.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._woken = threading.Lock()
        self._woken.acquire()
        self._ended = False

    def start(self) -> None:
        """Run it. In the loop's thread."""
        self._task = asyncio.create_task(self._work)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        """Cancel it, or see to it that it never starts. In the loop's thread, after `start` if that came."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._work.close()
            self._end(None)

    def _end(self, task: asyncio.Task[T] | None) -> None:
        if task is not None and not task.cancelled():
            task.exception()  # counts as looked at, also when nobody asks for the result
        if not self._ended:
            self._ended = True
            self._woken.release()

    def wait(self) -> None:
        """Wait for its end."""
        while not self._ended and not self._woken.acquire(timeout=_LOOK_SECONDS):
            pass

    def result(self) -> T:
        """What it returned, after its end. Raises what it raised, and CancelledError."""
        if self._task is None or self._task.cancelled():
            raise CancelledError
        return self._task.result()


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
        waited = _Waited(work)
        try:
            loop.call_soon_threadsafe(waited.start)
            waited.wait()
        except BaseException:
            loop.call_soon_threadsafe(waited.cancel)
            waited.wait()
            raise
        return waited.result()

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


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
