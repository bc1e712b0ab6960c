"""Servers that run beside the commands of a workspace. Between commands they stand still.

So nothing runs while nobody measures its memory and time, and a tree is not written to while it is read.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from sandbox_runner.guest import supervise, wire

_TICK = 0.005
_LAST_BYTES, _LAST_LINES = 2_000, 3
_MOST_BYTES = 1_000_000
_ENDED = b"XZ"


class GuestServices:
    """The servers of this sandbox."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._running: list[_Server] = []

    def start(self, plans: list[dict[str, Any]], seconds: float) -> dict[str, str]:
        """Start them side by side, and wait until each says that it is ready; then they stand still.

        plans: {"name", "argv", "ready": text that it prints then, "log": file for what it prints}.
        Return name -> why, for the first that is not ready. The workspace is of no use then.
        """
        until = time.monotonic() + seconds
        self._running = [_Server(self._job, plan) for plan in plans]
        for server in self._running:
            while not server.is_ready():
                if server.has_ended():
                    return {server.name: f"it ended: {server.last_lines()}"}
                if time.monotonic() > until:
                    return {server.name: f"it was not ready after {seconds:.0f} s: {server.last_lines()}"}
                time.sleep(_TICK)
        self.end_others(_reap)
        return {}

    def go_on(self) -> None:
        """Let them run."""
        for pid in self._family():
            _signal(pid, signal.SIGCONT)

    def end_others(self, reap: Callable[[], bool]) -> None:
        """End every other process, at once and for certain, and let the servers stand still."""
        # None can fork from here on.
        _signal(-1, signal.SIGSTOP)
        kept = self._family()
        while others := [pid for pid in _processes() if pid not in kept and _state(pid)[0] not in _ENDED]:
            for pid in others:
                _signal(pid, signal.SIGKILL)
            reap()
            time.sleep(_TICK / 5)
        reap()

    def tell_ended(self) -> None:
        """Write to the command's standard error which servers ended while it ran."""
        for server in [one for one in self._running if one.has_ended()]:
            self._running.remove(server)
            line = f"\nservice {server.name}: ended, and is not there any more: {server.last_lines()}\n"
            wire.send(wire.STDERR, line.encode("utf-8", "replace"))

    def _family(self) -> set[int]:
        """The servers with what they started of their own program; nothing else is kept."""
        parents = {pid: _state(pid)[1] for pid in _processes()}
        found = set()
        for server in self._running:
            if server.has_ended():
                continue
            program = _program(server.pid)
            family = {server.pid}
            while more := {pid for pid, parent in parents.items() if parent in family} - family:
                family |= more
            found |= {pid for pid in family if pid == server.pid or (program and _program(pid) == program)}
        return found


class _Server:
    def __init__(self, job: dict[str, Any], plan: dict[str, Any]) -> None:
        self.name: str = plan["name"]
        self._ready: bytes = plan["ready"].encode()
        os.makedirs(os.path.dirname(plan["log"]), exist_ok=True)
        log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        # Never opened again: programs can put a pipe or a link in its place.
        self._log = os.open(plan["log"], os.O_RDONLY | os.O_NOFOLLOW)
        self.pid = os.fork()
        if self.pid == 0:
            nothing = os.open("/dev/null", os.O_RDONLY)
            supervise.become_program({**job, "argv": plan["argv"]}, (nothing, log, log), None)
        os.close(log)
        # Its id may be another's once it has ended.
        self._fd = os.pidfd_open(self.pid)

    def has_ended(self) -> bool:
        return bool(select.select([self._fd], [], [], 0)[0])

    def is_ready(self) -> bool:
        return self._ready in self._printed()

    def last_lines(self) -> str:
        text = self._printed()[-_LAST_BYTES:].decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-_LAST_LINES:]) or "it printed nothing"

    def _printed(self) -> bytes:
        return os.pread(self._log, _MOST_BYTES, 0)


def _reap() -> bool:
    """Wait for children that have ended; return False when there are no others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1")


def _state(pid: int) -> tuple[int, int]:
    """The state of a process, as in proc(5), and its parent; X for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return _ENDED[0], 0
    return state[0], int(parent)


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
