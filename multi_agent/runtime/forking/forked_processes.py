"""Processes of the supervisor, forked from a server that imports all while its client does other things.

The server is a process of its own, so that the client may have threads and an event loop. When it is lost,
processes are started the long way.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from multi_agent.embedded.child import ChildProcess
from multi_agent.runtime.forking.fork_server import ForkClient, socket_pair
from multi_agent.runtime.forking.shown_command import ROOM

_SERVER: Final = (sys.executable, "-P", "-m", "multi_agent.cli.processes.forked", ROOM)
_START_SECONDS: Final = 60.0
"""How long a start may take; the first waits for the imports."""
_KILL_SECONDS: Final = 5.0
_MOST_OUTPUT: Final = 2_000
"""Bytes of what a lost server said last."""


class ForkedProcesses:
    """Makes processes whose command is a call of `python -m multi_agent.cli`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Start the server. Raises Unavailable.

        env: its whole environment, which other programs see as that of each process.
        """
        ours, theirs = socket_pair()
        self._client = ForkClient(ours)
        self._log = tempfile.NamedTemporaryFile(prefix="multi-agent-forks-")  # noqa: SIM115 - see close
        self._server = ChildProcess(_SERVER, log=Path(self._log.name), env=env, stdin=theirs.fileno())
        self._processes: set[ForkedCommand] = set()
        self._listens = False
        self._lost = False
        with theirs:
            self._server.start()

    def __call__(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str]
    ) -> ForkedCommand | ChildProcess:
        """See multi_agent.runtime.supervisor.ProcessFactory. To be called within the event loop."""
        if not self._listens:
            self._listens = True
            self._client.listen(self._handle_exit, self._handle_loss)
        if self._lost:
            return ChildProcess(argv, log=log, env=env)
        process = ForkedCommand(self._client, argv, log=log, env=env)
        self._processes.add(process)
        return process

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._server.alive

    def _handle_exit(self, pid: int, _status: int) -> None:
        for process in [one for one in self._processes if one.pid == pid]:
            process.ended.set()
            self._processes.discard(process)

    def _handle_loss(self) -> None:
        self._lost = True
        # It takes a tenth of a second to import, before the server starts.
        import structlog  # noqa: PLC0415

        log = structlog.get_logger(__name__)
        log.warning("fork_server_lost", output=self._log.read()[-_MOST_OUTPUT:].decode(errors="replace"))
        for process in self._processes:
            process.ended.set()
        self._processes.clear()

    def close(self) -> None:
        """End the server and what it forked."""
        self._client.close()
        self._server.kill()
        self._log.close()


class ForkedCommand:
    """See multi_agent.runtime.supervisor.Process."""

    def __init__(self, client: ForkClient, argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self._client = client
        self._log = log
        self._order = {"argv": list(argv), "env": dict(env), "log": str(log)}
        self._started: asyncio.Future[int] | None = None
        self.ended = asyncio.Event()
        """Set by whoever hears of its end."""

    @property
    def pid(self) -> int:
        """The process id; 0 before it is known, and when there is none."""
        started = self._started
        if started is None or not started.done() or started.cancelled() or started.exception():
            return 0
        return started.result()

    @property
    def alive(self) -> bool:
        """Whether the process runs, or is about to."""
        if self._started is None or self.ended.is_set():
            return False
        return not self._started.done() or self.pid != 0

    def start(self) -> None:
        """Start the process, as soon as the server has imported everything."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._started = self._client.begin(uuid.uuid4().hex, self._order, _START_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal; does nothing when the process has ended."""
        if not self.ended.is_set():
            self._client.signal(self.pid, number)

    async def stop(self, grace: float = 10.0) -> None:
        """Send SIGTERM, and kill the process after `grace` seconds."""
        if self._started is None or self._started.cancel() or not self.alive:
            return  # what was not started yet is ended by the client if it still starts
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), grace)
        self.signal(signal.SIGKILL)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), _KILL_SECONDS)
