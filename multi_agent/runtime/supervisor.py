"""Keeps processes of ours running: restarts the dead, and tells the owner at once which worker died."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from contracts.messages.events import MAX_LOGS, EventType, TaskEvent, WorkerLeft, encode
from contracts.ports.bus import Outgoing, PublishPort
from multi_agent.embedded.child import ChildProcess
from multi_agent.runtime.processes import new_process_id

log = structlog.get_logger("supervisor")

WATCH_SECONDS = 0.05
QUICK_DEATH_SECONDS = 5.0
TOLD_LINES = 40

# -P: a folder of the user's that is called like one of our packages must not be taken for it.
_SELF = (sys.executable, "-P", "-m", "multi_agent.cli")


class Process(Protocol):
    """What is supervised; ChildProcess, unless a test of the whole forks it more quickly."""

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    def start(self) -> None: ...

    def signal(self, number: int) -> None: ...

    async def stop(self, grace: float = ...) -> None: ...


class MakeProcess(Protocol):
    """Makes a process that was not started yet."""

    def __call__(self, argv: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Process: ...


@dataclass(slots=True)
class Charge:
    """A supervised process. `worker_id` is set for workers and new with every start.

    tells: whether the owner is told of its death at once; else it finds out by the lease.
    """

    name: str
    argv: Callable[[], tuple[list[str], str | None]]
    tells: bool = True
    process: Process | None = None
    worker_id: str | None = None
    started_at: float = 0.0
    quick_deaths: int = 0
    restart_at: float = 0.0


class OrchestratorArgv:
    """The command of an orchestrator; one that follows a dead one does not wait for its lease."""

    def __init__(self) -> None:
        self._last: str | None = None

    def __call__(self) -> tuple[list[str], str | None]:
        """For the next start."""
        replaced, self._last = self._last, new_process_id()
        argv = [*_SELF, "orchestrator", "--orchestrator-id", self._last]
        return (argv if replaced is None else [*argv, "--replaces", replaced]), None


def worker_argv(roles: Sequence[str], modules: Sequence[str]) -> tuple[list[str], str | None]:
    """The command of a worker, with a name of its own."""
    worker_id = new_process_id()
    argv = [*_SELF, "worker", "--worker-id", worker_id]
    argv += [part for role in roles for part in ("--role", role)]
    argv += [part for module in modules for part in ("--agents", module)]
    return argv, worker_id


def sandbox_host_argv(slots: int) -> tuple[list[str], str | None]:
    """The command of a sandbox host, with a name of its own."""
    host_id = new_process_id()
    return [*_SELF, "worker", "--role", "sandbox", "--worker-id", host_id, "--slots", str(slots)], host_id


def last_lines(path: Path) -> str | None:
    """The end of a log: at most 40 lines and 8,000 characters, None when there is nothing to read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4 * MAX_LOGS))
            text = file.read().decode(errors="replace")
    except OSError:
        return None
    lines = text.replace("\0", "\N{REPLACEMENT CHARACTER}").splitlines()[-TOLD_LINES:]
    return "\n".join(lines)[-MAX_LOGS:] or None


@dataclass(slots=True)
class Supervisor:
    """Starts charges in `env` with logs below `logs`, and restarts each that ends unasked.

    One that keeps dying is started again after longer and longer waits, up to `most_wait_seconds`.
    """

    bus: PublishPort
    env: dict[str, str]
    logs: Path
    make: MakeProcess = ChildProcess
    most_wait_seconds: float = 5.0
    charges: list[Charge] = field(default_factory=list)

    def start(self, charge: Charge) -> None:
        """Start a process and watch over it from now on. To be called in the main thread."""
        self.charges.append(charge)
        self._launch(charge)

    def _launch(self, charge: Charge) -> None:
        argv, charge.worker_id = charge.argv()
        charge.process = self.make(argv, log=self._log(charge), env=self.env)
        charge.process.start()
        charge.started_at = time.monotonic()

    async def watch(self) -> None:
        """Restart what dies, until cancelled."""
        while True:
            for charge in self.charges:
                if charge.process is not None and not charge.process.alive:
                    await self._died(charge)
                elif charge.process is None and time.monotonic() >= charge.restart_at:
                    self._launch(charge)
            await asyncio.sleep(WATCH_SECONDS)

    async def _died(self, charge: Charge) -> None:
        """Tell the owner, then restart: at once the first time, later when it keeps dying."""
        quick = time.monotonic() - charge.started_at < QUICK_DEATH_SECONDS
        charge.quick_deaths = charge.quick_deaths + 1 if quick else 0
        wait = min(self.most_wait_seconds, 0.25 * 2**charge.quick_deaths) if charge.quick_deaths > 1 else 0.0
        log.warning("process_died", name=charge.name, restart_in_seconds=wait)
        charge.process = None
        charge.restart_at = time.monotonic() + wait
        if charge.worker_id is not None and charge.tells:
            await self._tell(charge.worker_id, last_lines(self._log(charge)))

    def _log(self, charge: Charge) -> Path:
        return self.logs / f"{charge.name}.log"

    async def _tell(self, worker_id: str, logs: str | None) -> None:
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
            log.warning("death_not_told", worker_id=worker_id)

    async def stop(self, grace: float = 10.0) -> None:
        """Stop everything: workers first, so that the owner still takes their last outcomes."""
        charges, self.charges = self.charges, []
        workers = [one.process for one in charges if one.process and one.worker_id]
        others = [one.process for one in charges if one.process and not one.worker_id]
        await asyncio.gather(*(process.stop(grace) for process in workers))
        await asyncio.gather(*(process.stop(grace) for process in others))
