"""Forks processes from one that has imported everything, so that each starts in milliseconds.

Server and client talk over a socket, a JSON message a packet. A process that has ended stays a zombie until
its client has heard of it, so that its id means nothing else meanwhile. Everything dies with the client.
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


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The client's end and the server's."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
    return ends


Prepare: TypeAlias = Callable[[], tuple[Any, Become]]
"""Runs once in the server: what its client should know, as JSON, and what a forked process does."""


class ForkClient:
    """The client's end."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
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

    def begin(self, name: str, order: Any, seconds: float = START_SECONDS) -> asyncio.Future[int]:
        """Order a process that carries out an order, which is JSON; `name` is new. Its process id, later.

        The result may be Unavailable. A process whose result nobody waits for any more is ended.

        seconds: how long the server may take to answer.
        """
        loop = asyncio.get_running_loop()
        started: asyncio.Future[int] = loop.create_future()
        self._starts[name] = started
        late = Unavailable(f"the fork server did not answer within {seconds:g} s")
        timer = loop.call_later(seconds, _fail, started, late)

        def forget(_started: asyncio.Future[int]) -> None:
            timer.cancel()
            self._starts.pop(name, None)

        started.add_done_callback(forget)
        try:
            self._send({"start": name, "order": order})
        except Unavailable as error:
            _fail(started, error)
        return started

    async def start(self, name: str, order: Any) -> int:
        """As `begin`, and wait for the process id. Raises Unavailable."""
        return await self.begin(name, order)

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a process whose exit was not reported yet."""
        if pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self) -> None:
        """Hear no more. The server ends, and with it what it forked."""
        with suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

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
        for started in list(self._starts.values()):
            _fail(started, Unavailable("the fork server has ended"))
        self._lost()

    def _handle(self, message: dict[str, Any]) -> None:
        pid = message.get("pid", 0)
        if "exited" in message:
            self._exited(pid, message["exited"])
            self._pids.discard(pid)
            with suppress(Unavailable):
                self._send({"forget": pid})
            return
        if "started" not in message:
            return  # that it is ready, or why not, when nobody waited for that
        started = self._starts.get(message["started"])
        if pid:
            self._pids.add(pid)
        if started is None or started.done():
            # It was given up; nobody else will end it.
            self.signal(pid, signal.SIGKILL)
        elif pid:
            started.set_result(pid)
        else:
            _fail(started, Unavailable(f"no process could be forked: {message['reason']}"))


class ForkServer(ForkClient):
    """A server that is itself forked from its client, before that has an event loop or threads.

    So it needs no start of its own and has what the client has: log, settings, shared memory.
    """

    def __init__(self, prepare: Prepare) -> None:
        """Fork the server. To be called in the main thread of a process without other threads."""
        ours, theirs = socket_pair()
        client = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            serve(theirs, client, prepare)
        theirs.close()
        super().__init__(ours)

    def close(self) -> None:
        """End the server, and with it what it forked."""
        super().close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _fail(started: asyncio.Future[int], error: Unavailable) -> None:
    if not started.done():
        started.set_exception(error)
