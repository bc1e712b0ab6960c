"""The fork server's own process: forks, reports exits, and removes what dead children left behind."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeAlias

from contracts.base.error_words import error_words
from contracts.base.errors import MultiAgentError
from multi_agent.runtime.forking.die_with_parent import adopt_orphans, die_with_parent
from multi_agent.runtime.forking.process_tree import children_of

Become: TypeAlias = Callable[[Any], int]
"""What a forked process does with its order; its exit code."""

_MOST_BYTES: Final = 1 << 20
_BLOCKED: Final = (signal.SIGTERM, signal.SIGINT)
"""Its client decides what they mean."""


def serve(client: socket.socket, client_pid: int, prepare: Callable[[], tuple[Any, Become]]) -> NoReturn:
    """Prepare, then serve until the client's end is closed; see fork_server. Never returns."""
    code = 1
    try:
        die_with_parent(client_pid)
        # Blocked, not ignored: what is sent to a child before it has its handlers must not be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        adopt_orphans()
        become = _prepare(client, prepare)
        if become is not None:
            freeze_heap()
            _Server(client, become).run()
            code = 0
    except BaseException:
        traceback.print_exc()
    _exit(code)


def freeze_heap() -> None:
    """Exclude everything loaded so far from garbage collection, which took 30 ms each time with it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _prepare(client: socket.socket, prepare: Callable[[], tuple[Any, Become]]) -> Become | None:
    """Prepare and say so; None when that failed."""
    try:
        facts, become = prepare()
    except MultiAgentError as error:
        client.send(json.dumps({"error": error_words(error)}).encode())
        return None
    client.send(json.dumps({"ready": facts}).encode())
    return become


class _Server:
    def __init__(self, client: socket.socket, become: Become) -> None:
        self._client = client
        self._become = become
        self._children: set[int] = set()
        self._reported: set[int] = set()
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until the client's end is closed."""
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self._client.fileno(), self._woken], [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4_096)
                self._report_exits()
            if self._client.fileno() in ready:
                packet = self._client.recv(_MOST_BYTES)
                if not packet:
                    return
                self._handle(json.loads(packet))

    def _handle(self, message: dict[str, Any]) -> None:
        if "forget" in message:
            os.waitpid(message["forget"], 0)
            self._children.discard(message["forget"])
            self._reported.discard(message["forget"])
            return
        name = message["start"]
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"started": name, "reason": error.strerror})
            return
        if pid == 0:
            self._run_child(server, message["order"])
        self._children.add(pid)
        self._say({"started": name, "pid": pid})

    def _run_child(self, server: int, order: Any) -> NoReturn:
        code = 1
        try:
            die_with_parent(server)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
            self._client.close()
            os.close(self._woken)
            os.close(self._waker)
            code = self._become(order)
        except BaseException:
            traceback.print_exc()
        _exit(code)

    def _report_exits(self) -> None:
        exits = {pid: self._status_of(pid) for pid in self._children - self._reported}
        ended = {pid: status for pid, status in exits.items() if status is not None}
        if ended:
            self._end_orphans()
        for pid, status in ended.items():
            self._reported.add(pid)
            self._say({"exited": status, "pid": pid})
        self._reap_orphans()

    def _status_of(self, pid: int) -> int | None:
        """The exit code of a child, or minus the signal that killed it; None while it runs."""
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def _end_orphans(self) -> None:
        """Kill what a dead child has left behind: git, and launchers of sandboxes."""
        for pid in children_of({os.getpid()}) - self._children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _reap_orphans(self) -> None:
        for pid in children_of({os.getpid()}) - self._children:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def _say(self, message: dict[str, Any]) -> None:
        # A client that is gone hears nothing, and this process ends with it.
        with suppress(OSError):
            self._client.send(json.dumps(message).encode())


def _exit(code: int) -> NoReturn:
    """End at once: what runs at the end of an interpreter is the client's."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
