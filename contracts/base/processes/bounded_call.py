"""Calls of pure functions on foreign text, in a process of their own with limits of time and memory.

What parses text that a model, a program or a stranger wrote may take seconds for some texts, hold the
interpreter's lock meanwhile, or crash the interpreter. None of that may happen where an event loop runs. Each
process has at most one such child: started for the first large text, kept for the next, replaced when a limit
has ended it, and gone when it is not needed for a while or when its parent has ended.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import io
import math
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from contracts.base.errors import LimitExceeded, Unavailable
from contracts.base.processes.shortage import shortage_as

SMALL: Final = 16_384
"""Bytes or characters of text that any check takes at most 0.1 s for, so that no process is needed."""
CALL_SECONDS: Final = 5
"""Processor time of one call."""
CALL_MEGABYTES: Final = 1_024
"""Address space of the child."""

_WALL_SECONDS: Final = 60.0
"""Of one call, for machines that are busy."""
_EXIT_SECONDS: Final = 0.5
_IDLE_SECONDS: Final = 60.0
_NICE: Final = 5
_LENGTH_BYTES: Final = 8
_BOOT: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from contracts.base.processes.bounded_call import serve; serve()"
)

P = ParamSpec("P")
T = TypeVar("T")


async def bounded_call(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(*args, **kwargs)`, called here when at most SMALL, else in the child.

    size: how much foreign text is among the arguments, in bytes or characters. The function is one that can
    be imported by its name; arguments and result are pickled. Raises what the function raises, LimitExceeded,
    and Unavailable when no child can be started.
    """
    if size <= SMALL:
        return function(*args, **kwargs)
    call = _Call(_child, pickle.dumps((function, args, kwargs), pickle.HIGHEST_PROTOCOL))
    try:
        with shortage_as(Unavailable):
            running = _child.thread.submit(call.run)
        result: T = await asyncio.wrap_future(running)
    except asyncio.CancelledError:
        call.cancel()
        raise
    return result


def importable(thing: type | Callable[..., object]) -> bool:
    """Whether another process can import it by its name; what stands in a function or a script cannot."""
    try:
        pickle.dumps(thing)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return thing.__module__ != "__main__"


class _Child:
    """The child process, and the thread that waits for it."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="bounded-call")
        self._process: subprocess.Popen[bytes] | None = None

    def ready(self) -> subprocess.Popen[bytes]:
        """The child that waits, or a new one. Raises Unavailable."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._process = _start()
        return self._process

    def end(self) -> int:
        """End the child. Returns how it exited, as Popen.returncode; 0 when there was none."""
        process, self._process = self._process, None
        if process is None:
            return 0
        # One that is ending by itself is given the time to, so that its exit code is its own.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_SECONDS)
        process.kill()
        code = process.wait()
        _close(process)
        return code

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def forget(self) -> None:
        """In a fork of this process: leave the child to the process that started it."""
        if self._process is not None:
            self._process.returncode = 0
            _close(self._process)


def _start() -> subprocess.Popen[bytes]:
    try:
        # Isolated, so that nothing is imported from the current folder that this process would not import.
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _BOOT, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where a library that has no memory left says so
            process_group=0,
        )
    except OSError as error:
        raise Unavailable(f"no process can be started for checks of large texts: {error}") from None


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # of bytes that it never read
                pipe.close()


class _Call:
    """One call in the child."""

    def __init__(self, child: _Child, request: bytes) -> None:
        self._child = child
        self._request = request
        self._lock = threading.Lock()
        self._runs = self._cancelled = self._late = False

    def run(self) -> Any:
        """Wait for the result, in the child's thread. Raises what the function raises."""
        reply, code = self._attempt()
        if reply is None and code == 0:
            # The child left, since nothing had come for a while, just before this came.
            reply, code = self._attempt()
        if reply is None:
            raise self._failure(code)
        returned, value = reply
        if returned:
            return value
        raise value

    def cancel(self) -> None:
        """End the call early."""
        with self._lock:
            self._cancelled = True
            if self._runs:
                self._child.kill()

    def _attempt(self) -> tuple[tuple[bool, Any] | None, int]:
        """The child's reply; None when it ended instead, and how it exited."""
        with self._lock:
            if self._cancelled:
                raise CancelledError
        process = self._child.ready()
        with self._lock:
            self._runs = True
        watch = threading.Timer(_WALL_SECONDS, self._end_late)
        watch.daemon = True
        watch.start()
        try:
            reply = _exchange(process, self._request)
        finally:
            watch.cancel()
            with self._lock:
                self._runs = False
        return reply, self._child.end() if reply is None else 0

    def _end_late(self) -> None:
        with self._lock:
            if self._runs:
                self._late = True
                self._child.kill()

    def _failure(self, code: int) -> Exception:
        if self._cancelled:
            return CancelledError()
        if self._late or code == -signal.SIGXCPU:
            return LimitExceeded(f"takes longer than {CALL_SECONDS} s to check")
        if code == -signal.SIGKILL:
            return _too_much_memory()
        if code < 0:
            return LimitExceeded(f"ends the process that checks it ({signal.Signals(-code).name})")
        return Unavailable(f"the process for checks of large texts ended with exit code {code}")


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> tuple[bool, Any] | None:
    if process.stdin is None or process.stdout is None:
        return None
    try:
        process.stdin.write(len(request).to_bytes(_LENGTH_BYTES, "big") + request)
        process.stdin.flush()
        reply: tuple[bool, Any] = pickle.load(process.stdout)  # noqa: S301 - from a process of our own
    except (OSError, EOFError, pickle.UnpicklingError):
        return None
    return reply


def _too_much_memory() -> LimitExceeded:
    return LimitExceeded(f"needs more than {CALL_MEGABYTES:,} MB of memory to check")


def serve() -> None:
    """Be the child: answer calls from standard input until it ends, or nothing comes for a while."""
    os.nice(_NICE)
    size = CALL_MEGABYTES * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    calls, replies = io.BufferedReader(io.FileIO(0)), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a function prints is no reply
    while select.select([calls], [], [], _IDLE_SECONDS)[0] and calls.peek(1):
        replies.write(_answer(calls.read(int.from_bytes(calls.read(_LENGTH_BYTES), "big"))))
        replies.flush()
        if _address_space() > size // 2:
            return  # the next call shall find all of its memory


def _address_space() -> int:
    """In bytes. Not ru_maxrss, which begins with that of the process that started this one."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _answer(request: bytes) -> bytes:
    used = time.process_time()
    # At the soft limit the kernel ends the process; it is raised for each call.
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used) + CALL_SECONDS, resource.RLIM_INFINITY))
    try:
        function, args, kwargs = pickle.loads(request)  # noqa: S301 - from the parent
        return pickle.dumps((True, function(*args, **kwargs)))
    except MemoryError:
        return pickle.dumps((False, _too_much_memory()))
    except Exception as error:
        return pickle.dumps((False, error))


_child = _Child()


def _begin_anew() -> None:
    global _child  # noqa: PLW0603 - a fork has neither the thread nor the child of its parent
    _child.forget()
    _child = _Child()


def _end() -> None:
    _child.kill()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_end)
