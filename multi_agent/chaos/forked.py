"""Forks the project's processes from one that has imported everything, so that they start in milliseconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from multi_agent.runtime.forking.die_with_parent import die_with_parent

_MODULES = (
    "multi_agent.chaos.die_with_parent",
    "multi_agent.cli.processes.orchestrator",
    "multi_agent.cli.processes.worker",
    "multi_agent.chaos.agents",
    "multi_agent.models.recordings.replay",
    "orchestrator.service.orchestrator",
    "orchestrator.storage.migrate",
    "agents.worker.worker",
    "artifacts",
    "contracts.bus.redis_bus",
    "sandbox_runner",
    "alembic.command",
)
_LONGEST_TEMPORARY_FOLDER = 60
_context: ForkServerContext = multiprocessing.get_context("forkserver")


class ForkedProcess:
    """A process for the supervisor. `argv` must be a call of `python -m multi_agent.cli`."""

    def __init__(self, argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self._argv = list(argv[argv.index("multi_agent.cli") + 1 :])
        self._log = log
        self._env = dict(env)
        self._process: ForkServerProcess | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return (self._process.pid or 0) if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Start the process."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        args = (self._argv, self._env, str(self._log))
        self._process = _context.Process(target=_become, args=args, daemon=True)
        self._process.start()

    def signal(self, number: int) -> None:
        """Send a signal; does nothing when the process has ended."""
        if self._process is not None and self._process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process and wait until it has ended."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.join()

    async def stop(self, grace: float = 10.0) -> None:
        """Send SIGTERM, and kill the process after `grace` seconds."""
        self.signal(signal.SIGTERM)
        if self._process is not None:
            # Joining in a thread would race with the supervisor's calls of `alive`.
            self._process.join(grace)
        self.kill()


def start_server(env: Mapping[str, str]) -> None:
    """Start the fork server with these variables in its environment, which its children inherit."""
    _context.set_forkserver_preload(list(_MODULES))
    with _variables(env), _short_temporary_folder():
        forkserver.ensure_running()


@contextmanager
def _variables(env: Mapping[str, str]) -> Iterator[None]:
    os.environ.update(env)
    try:
        yield
    finally:
        for name in env:
            del os.environ[name]


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Use a short temporary folder: the server's socket is in it, and its path may have at most 108 bytes."""
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) > _LONGEST_TEMPORARY_FOLDER:
        tempfile.tempdir = "/tmp"  # noqa: S108 - multiprocessing makes a folder of mode 700 there
    try:
        yield
    finally:
        tempfile.tempdir = usual


def _become(argv: list[str], env: dict[str, str], log: str) -> None:
    """Run the command line in the child as if it had been started as a new process."""
    from multi_agent.chaos.die_with_parent import SERVER  # noqa: PLC0415 - imported in the server already

    die_with_parent(SERVER)
    assert threading.active_count() == 1
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(env)
    # `left_behind` finds processes by their folder; /proc shows only the environment of the server.
    os.chdir(env["HOME"])
    sys.argv = ["multi-agent", *argv]
    from multi_agent.cli import main  # noqa: PLC0415 - imported in the server already

    main()
