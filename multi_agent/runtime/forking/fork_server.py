"""Forks processes from one that has imported everything, so that each starts in milliseconds.

The server is itself forked from the process that wants the others (its client), before that has an event
loop or threads, so it needs no start of its own and has what the client has: log, settings, shared memory.
They talk over a socket, a JSON message a packet. A process that has ended stays a zombie until its client has
heard of it, so that its id means nothing else meanwhile. Everything dies with the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from contracts.base.error_words import error_of
from contracts.base.errors import Unavailable
from multi_agent.runtime.forking.forked_children import Become, serve

START_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1 << 20

Prepare: TypeAlias = Callable[[], tuple[Any, Become]]
"""Runs once in the server: what its client should know, as JSON, and what a forked process does."""


class ForkServer:
    """The client's end."""

    def __init__(self, prepare: Prepare) -> None:
        """Fork the server. To be called in the main thread of a process without other threads."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        client = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            serve(theirs, client, prepare)
        theirs.close()
        self._starts: dict[str, asyncio.Future[int]] = {}
        self._exited: Callable[[int, int], None] = lambda _pid, _status: None
        self._lost: Callable[[], None] = lambda: None
        self._pids: set[int] = set()

    def ready(self) -> Any:
        """Wait until the server has prepared itself; what its client should know.

        Raises what went wrong; see contracts.base.error_words.
        """
        packet = self._socket.recv(_MOST_BYTES)
        if not packet:
            raise Unavailable("the fork server ended before it was ready; its log says why")
        message = json.loads(packet)
        if "error" in message:
            raise error_of(message["error"])
        return message["ready"]

    def listen(self, exited: Callable[[int, int], None], lost: Callable[[], None]) -> None:
        """See agents.keeper.processes.SlotProcesses. To be called within the event loop."""
        self._exited, self._lost = exited, lost
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    async def start(self, name: str, order: Any) -> int:
        """Fork a process that carries out an order, which is JSON; `name` is new. Its process id.

        Raises Unavailable.
        """
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starts[name] = started
        try:
            self._send({"start": name, "order": order})
            async with asyncio.timeout(START_SECONDS):
                return await started
        except TimeoutError:
            raise Unavailable(f"the fork server did not answer within {START_SECONDS:g} s") from None
        finally:
            self._starts.pop(name, None)

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process whose exit was not reported yet."""
        if pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self) -> None:
        """End the server, and with it what it forked."""
        with suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _send(self, message: Any) -> None:
        try:
            self._socket.send(json.dumps(message).encode())
        except OSError as error:
            raise Unavailable(f"the fork server cannot be reached: {error.strerror}") from None

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    packet = self._socket.recv(_MOST_BYTES)
                except ConnectionError:
                    packet = b""
                if not packet:
                    return self._handle_end()
                self._handle(json.loads(packet))
        return None

    def _handle_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._pids.clear()
        for started in self._starts.values():
            if not started.done():
                started.set_exception(Unavailable("the fork server has ended"))
        self._lost()

    def _handle(self, message: dict[str, Any]) -> None:
        pid = message.get("pid", 0)
        if "exited" in message:
            self._exited(pid, message["exited"])
            self._pids.discard(pid)
            with suppress(Unavailable):
                self._send({"forget": pid})
            return
        started = self._starts.get(message["started"])
        if pid:
            self._pids.add(pid)
        if started is None or started.done():
            # It was given up; nobody else will end it.
            self.signal(pid, signal.SIGKILL)
        elif pid:
            started.set_result(pid)
        else:
            started.set_exception(Unavailable(f"no process could be forked: {message['reason']}"))
