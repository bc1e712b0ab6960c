"""A git process that answers many questions, where starting one for each would cost more than the work."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO

from artifacts.git.process import (
    LOCAL_SECONDS,
    GitFailed,
    command,
    drop_crash_report,
    environment,
    failure,
)
from artifacts.git.write_guard import GUARDED, WriteGuard
from contracts.base.errors import ArtifactError, StoreUnavailable

Ask = Callable[[bytes, int], list[bytes]]

_PIECE = 65_536
_FAREWELL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class GitDialogue:
    """A git command that answers question after question."""

    words: tuple[str, ...]
    """The command and its arguments."""
    max_weight: int
    """The sum of weights after which a fresh process takes over, which bounds git's memory."""
    options: tuple[str, ...] = ()
    """Further `-c` values."""
    goodbye: bytes = b""
    """Input that ends the process in good order."""


class LongLivedGit:
    """The process of a dialogue. Threads use it one at a time.

    It starts with the first question, and again whenever it has ended. It ends when its standard input does,
    so it never outlives this process for long.

    guard: its flock is held while the process answers; None for a process that creates no lock file.
    before: called before each start.
    """

    def __init__(
        self,
        git_dir: Path,
        dialogue: GitDialogue,
        *,
        guard: WriteGuard | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._git_dir, self._dialogue, self._guard, self._before = git_dir, dialogue, guard, before
        self._switches = [part for option in (GUARDED, *dialogue.options) for part in ("-c", option)]
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._shared_fd: int | None = None
        self._weight = 0

    @contextmanager
    def asking(self, weight: int) -> Iterator[Ask]:
        """Yield a function that sends a question and returns as many lines of the answer as it is told.

        It raises GitFailed, and StoreUnavailable where the disk is full. After any error the process has
        ended, and what it had begun is undone.
        """
        with self._lock:
            process = self._started()
            try:
                with self._held():
                    try:
                        yield partial(_exchange, process, self._dialogue.words[0])
                    except BaseException:
                        # It removes its lock files when its input ends; the flock must be held until then.
                        _dismiss(process)
                        raise
            except BaseException:
                self._forget()
                raise
            self._weight += weight
            if self._weight >= self._dialogue.max_weight:
                self._end()

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._forget()
        if self._process is None:
            self._before()
            if self._guard is not None:
                self._shared_fd = self._guard.open()
            self._process = subprocess.Popen(
                command(self._git_dir, [*self._switches, *self._dialogue.words]),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
                pass_fds=() if self._shared_fd is None else (self._shared_fd,),
                start_new_session=True,
            )
            self._weight = 0
        return self._process

    def _held(self) -> AbstractContextManager[None]:
        if self._guard is None or self._shared_fd is None:
            return nullcontext()
        return self._guard.holding(self._shared_fd)

    def _end(self) -> None:
        if self._process is not None:
            _dismiss(self._process, self._dialogue.goodbye)
        self._forget()

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
            drop_crash_report(self._git_dir, process.pid)
        fd, self._shared_fd = self._shared_fd, None
        if fd is not None:
            os.close(fd)


def _dismiss(process: subprocess.Popen[bytes], goodbye: bytes = b"") -> None:
    """Close its input, and kill the process if it does not end then."""
    # The process may have been killed meanwhile, or its output may have been read to the end.
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        process.communicate(goodbye, timeout=_FAREWELL_SECONDS)
    process.kill()
    process.wait()


def _exchange(process: subprocess.Popen[bytes], name: str, question: bytes, lines: int) -> list[bytes]:
    """Send a question and read the answer. Raises GitFailed, StoreUnavailable."""
    deadline = time.monotonic() + LOCAL_SECONDS
    stdin, stdout, stderr = _pipes(process)
    unsent, answer, complaints = memoryview(question), bytearray(), bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(stdin, selectors.EVENT_WRITE)
        ready.register(stdout, selectors.EVENT_READ, answer)
        ready.register(stderr, selectors.EVENT_READ, complaints)
        while unsent or answer.count(b"\n") < lines:
            events = ready.select(deadline - time.monotonic())
            if not events or time.monotonic() > deadline:
                raise GitFailed(name, None, f"limit {LOCAL_SECONDS:.0f} s")
            for key, _ in events:
                if key.data is None:
                    sent = _send(stdin, unsent)
                    unsent = unsent[sent:]
                    if not unsent:
                        ready.unregister(stdin)
                else:
                    sent = _receive(key.fd, key.data)
                if not sent:
                    raise _ended(process, name, bytes(complaints))
    return bytes(answer).split(b"\n")[:lines]


def _send(stdin: IO[bytes], unsent: memoryview) -> int:
    """Return the number of bytes sent; 0 when the process reads no more."""
    try:
        return os.write(stdin.fileno(), unsent[:_PIECE])
    except BrokenPipeError:
        return 0


def _receive(fd: int, into: bytearray) -> int:
    piece = os.read(fd, _PIECE)
    into += piece
    return len(piece)


def _ended(process: subprocess.Popen[bytes], name: str, complaints: bytes) -> GitFailed | StoreUnavailable:
    try:
        _, rest = process.communicate(timeout=_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        return GitFailed(name, None, "it closed its output and went on")
    return failure(name, process.returncode, complaints + rest)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise ArtifactError("git has no pipes")
    os.set_blocking(process.stdin.fileno(), False)
    return process.stdin, process.stdout, process.stderr
