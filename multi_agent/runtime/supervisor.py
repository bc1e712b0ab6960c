"""Keeps processes running: restarts dead ones, and reports dead workers to the orchestrator at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.payloads import WorkerLeft
from contracts.ports.bus import Outgoing, PublishPort
from multi_agent.embedded.child import ChildProcess
from multi_agent.runtime.log_tail import last_lines
from multi_agent.runtime.observing.log_rotation import ROTATE_SECONDS, rotate_logs
from multi_agent.runtime.processes import new_process_id

log = structlog.get_logger(__name__)

WATCH_SECONDS = 0.05
QUICK_DEATH_SECONDS = 5.0

# -P: a folder of the user with the name of one of our packages must not be imported instead of it.
_SELF = (sys.executable, "-P", "-m", "multi_agent.cli")


class Process(Protocol):
    """The interface of a process. ChildProcess implements it; the crash certificate uses a faster fork."""

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    def start(self) -> None: ...

    def signal(self, number: int) -> None: ...

    async def stop(self, grace: float = ...) -> None: ...


class ProcessFactory(Protocol):
    """Makes a process without starting it."""

    def __call__(self, argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Process: ...


@dataclass(slots=True)
class SupervisedProcess:
    """A process, how to start it, and its latest run."""

    name: str
    """The name in logs, and of the log file."""
    argv: Callable[[], tuple[list[str], str | None]]
    """Makes the command and the worker id for the next start."""
    reports_death: bool = True
    """Whether the orchestrator gets a message when the process dies. Else its lease has to expire."""
    process: Process | None = None
    """None while the process waits for its restart."""
    worker_id: str | None = None
    """New with every start; None for an orchestrator."""
    started_at: float = 0.0
    """Monotonic time in seconds."""
    quick_deaths: int = 0
    """How often in a row the process died within QUICK_DEATH_SECONDS."""
    restart_at: float = 0.0
    """Monotonic time in seconds of the next start, while `process` is None."""


class OrchestratorArgv:
    """Makes the command of an orchestrator. One that replaces a dead one does not wait for its lease."""

    def __init__(self) -> None:
        self._last: str | None = None

    def __call__(self) -> tuple[list[str], str | None]:
        """Return the command for the next start."""
        replaced, self._last = self._last, new_process_id()
        argv = [*_SELF, "orchestrator", "--orchestrator-id", self._last]
        return (argv if replaced is None else [*argv, "--replaces", replaced]), None


def worker_argv(roles: Sequence[str], modules: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the command of a worker, and its new id."""
    worker_id = new_process_id()
    argv = [*_SELF, "worker", "--worker-id", worker_id]
    argv += [part for role in roles for part in ("--role", role)]
    argv += [part for module in modules for part in ("--agents", module)]
    return argv, worker_id


def sandbox_host_argv(slots: int) -> tuple[list[str], str | None]:
    """Return the command of a sandbox host, and its new id."""
    host_id = new_process_id()
    return [*_SELF, "worker", "--role", "sandbox", "--worker-id", host_id, "--slots", str(slots)], host_id


def gateway_argv(port: int) -> tuple[list[str], str | None]:
    """Return the command of a gateway."""
    return [*_SELF, "gateway", "--port", str(port)], None


@dataclass(slots=True)
class Supervisor:
    """Starts processes, and restarts each that dies.

    A process that keeps dying is restarted after increasing waits.
    """

    bus: PublishPort
    env: dict[str, str]
    """The whole environment of the processes."""
    logs: Path
    """The folder of the log files."""
    make_process: ProcessFactory = ChildProcess
    max_wait_seconds: float = 5.0
    """The longest wait before a restart."""
    processes: list[SupervisedProcess] = field(default_factory=list)

    def start(self, supervised: SupervisedProcess) -> None:
        """Start a process and supervise it from now on. Must be called in the main thread."""
        self.processes.append(supervised)
        self._launch(supervised)

    def _launch(self, supervised: SupervisedProcess) -> None:
        argv, supervised.worker_id = supervised.argv()
        supervised.process = self.make_process(argv, log=self._log(supervised), env=self.env)
        supervised.process.start()
        supervised.started_at = time.monotonic()

    async def watch(self) -> None:
        """Restart processes that die, until cancelled."""
        look_at_logs = 0.0
        while True:
            for supervised in self.processes:
                if supervised.process is not None and not supervised.process.alive:
                    await self._handle_death(supervised)
                elif supervised.process is None and time.monotonic() >= supervised.restart_at:
                    self._launch(supervised)
            if time.monotonic() >= look_at_logs:
                look_at_logs = time.monotonic() + ROTATE_SECONDS
                await asyncio.to_thread(rotate_logs, self.logs)
            await asyncio.sleep(WATCH_SECONDS)

    async def _handle_death(self, supervised: SupervisedProcess) -> None:
        """Report the death, and schedule the restart: at once the first time, later when it keeps dying."""
        quick = time.monotonic() - supervised.started_at < QUICK_DEATH_SECONDS
        supervised.quick_deaths = supervised.quick_deaths + 1 if quick else 0
        deaths = supervised.quick_deaths
        wait = min(self.max_wait_seconds, 0.25 * 2**deaths) if deaths > 1 else 0.0
        log.warning("process_died", name=supervised.name, restart_in_seconds=wait)
        supervised.process = None
        supervised.restart_at = time.monotonic() + wait
        if supervised.worker_id is not None and supervised.reports_death:
            await self._report_death(supervised.worker_id, last_lines(self._log(supervised)))

    def _log(self, supervised: SupervisedProcess) -> Path:
        return self.logs / f"{supervised.name}.log"

    async def _report_death(self, worker_id: str, logs: str | None) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = TaskEvent[WorkerLeft](
            id=f"left-{worker_id}",
            source="supervisor",
            type=EventType.WORKER_LEFT,
            time=now,
            data=WorkerLeft(worker_id=worker_id, reason="died", logs=logs),
        )
        try:
            await self.bus.broadcast([Outgoing(Channels.HEARTBEATS, encode(event))])
        except BusUnavailable:
            log.warning("death_report_lost", worker_id=worker_id)

    async def stop(self, grace: float = 10.0) -> None:
        """Stop all processes: workers first, so that the orchestrator still receives their last outcomes."""
        stopped, self.processes = self.processes, []
        workers = [one.process for one in stopped if one.process and one.worker_id]
        others = [one.process for one in stopped if one.process and not one.worker_id]
        await asyncio.gather(*(process.stop(grace) for process in workers))
        await asyncio.gather(*(process.stop(grace) for process in others))
