"""A child process that ends when this process ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from contracts.base.errors import Unavailable

_GUARD: Final = Path(__file__).with_name("parent_guard.py")
_POLL_SECONDS: Final = 0.01
_SHOWN_LOG_BYTES: Final = 2_000


class ChildProcess:
    """A service as a child process in its own session, so that Ctrl-C does not reach it.

    It is killed when this process ends for any reason; `parent_guard.py` does this.
    """

    def __init__(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str], stdin: int = subprocess.DEVNULL
    ) -> None:
        """Prepare the process; `start` starts it.

        argv: the command.
        log: the file for stdout and stderr.
        env: the whole environment. Nothing is inherited, so no secret of this process reaches the service.
        stdin: a file descriptor that `start` needs open; by default there is nothing to read.
        """
        self._argv = list(argv)
        self._log = log
        self._env = dict(env)
        self._stdin = stdin
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the service, or of the guard that watches it; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process. Raises Unavailable when it cannot be started."""
        guard = [sys.executable, "-I", "-S", str(_GUARD), "--parent", str(os.getpid())]
        if threading.current_thread() is not threading.main_thread():
            guard.append("--watch")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    [*guard, "--", *self._argv],
                    stdin=self._stdin,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unavailable(f"{self._argv[0]} cannot be started: {error}") from None

    async def wait_ready(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Wait until `ready` returns True. Raises Unavailable when the process ends first or time is up."""
        deadline = time.monotonic() + seconds
        while not await ready():
            if not self.alive:
                raise Unavailable(
                    f"{self._argv[0]} ended at once; its log {self._log} ends:\n{self._log_end()}"
                )
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{self._argv[0]} was not ready after {seconds:g} s; its log is {self._log}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self, grace: float = 3.0) -> None:
        """Send SIGTERM, kill the process after `grace` seconds, and wait until it has ended."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, grace)
        self.kill()

    def kill(self) -> None:
        """Kill the process and wait until it has ended."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal; does nothing when the process has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def _log_end(self) -> str:
        return self._log.read_bytes()[-_SHOWN_LOG_BYTES:].decode(errors="replace").strip()
