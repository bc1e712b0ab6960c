"""The system under test in a scratch folder: private services, real orchestrators and workers, a client."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from contracts.base.failpoints import Action, Trap
from contracts.documents.todo_list import TodoList
from contracts.ports.bus import MessageBus
from multi_agent.bootstrap import SCRATCH_MARK, make_bus, make_client, make_database, upgrade_database
from multi_agent.chaos.forked import ForkedProcess, start_server
from multi_agent.chaos.load import write_answers
from multi_agent.chaos.services.clock import SteppedClock, find_compiler
from multi_agent.chaos.services.link import FaultProxies
from multi_agent.chaos.services.postgres import PrivatePostgres
from multi_agent.chaos.services.redis import ChaosRedis
from multi_agent.runtime.supervisor import OrchestratorArgv, SupervisedProcess, Supervisor, worker_argv
from multi_agent.settings import Settings
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.storage.sql.database import Database

_CONTINUE_SECONDS = 0.05
RUN = "worker.before_run"
NOTED = (RUN, "worker.before_model", "worker.after_exchange")
"""Failpoints that always write a note: what ran where, and which model answers were requested and stored."""

CANARY = "canary-2b7e151628aed2a6abf7158809cf4f3c"
"""The value of every secret in the environment of the processes. No log may contain it."""


@dataclass(frozen=True, slots=True)
class ScratchSettings:
    """The options of a world."""

    folder: Path
    """The scratch folder."""
    postgres: bool = False
    """Whether to use PostgreSQL with two orchestrators, else SQLite with one."""
    workers: int = 6
    slots: int = 3
    """How many tasks a worker executes at once."""
    lease_seconds: float = 1.5
    sandbox: str = "auto"
    search_path: str = os.defpath
    """Folders with programs, like PATH."""
    steps_clock: bool = False
    """Whether the wall clock of all processes can be stepped, which needs a C compiler."""
    deployment: Settings | None = None
    """The settings of a deployment whose Redis, PostgreSQL and artifact store are used.

    Faults then affect only the processes of the certificate.
    """


@dataclass(slots=True)
class ScratchSystem:
    """Everything that a fault can affect. Make it with `start` and end it with `close`."""

    wanted: ScratchSettings
    private_redis: ChaosRedis | None
    postgres: PrivatePostgres | None
    settings: Settings
    supervisor: Supervisor
    bus: MessageBus
    database: Database
    client: WorkflowClient
    clock: SteppedClock | None
    links: FaultProxies
    traps: list[Trap] = field(default_factory=list)
    wanted_plans: list[TodoList] = field(default_factory=list)
    """Plans that a fault wants to be submitted."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(failpoint, details) of failpoints that only write a note."""
    cancelled: dict[str, int] = field(default_factory=dict)
    """Cancelled workflow -> how many executions of it had begun when workers could know that."""
    _stopped: dict[int, float] = field(default_factory=dict)
    """Process id -> monotonic time at which it is continued."""
    _struck: list[str] = field(default_factory=list)
    """Failpoints that struck and were not yet returned by `pop_strikes`."""
    _read: int = 0
    """How many bytes of the failpoints' log were read."""
    _jobs: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def start(cls, wanted: ScratchSettings) -> ScratchSystem:
        """Start all services and processes."""
        data = wanted.folder / "data"
        data.mkdir(parents=True)
        (data / SCRATCH_MARK).touch()
        write_answers(wanted.folder / "answers")
        compiler = find_compiler() if wanted.steps_clock else None
        clock = SteppedClock(compiler, wanted.folder) if compiler else None
        clock_env = clock.env if clock else {}
        start_server(clock_env)
        redis = postgres = None
        if wanted.deployment is not None:
            settings = wanted.deployment.model_copy(update={"data_dir": data, "slots": wanted.slots})
        else:
            redis = ChaosRedis(wanted.folder, wanted.search_path, clock_env)
            await redis.start()
            postgres = await asyncio.to_thread(PrivatePostgres().start) if wanted.postgres else None
            settings = Settings(
                data_dir=data,
                redis_url=SecretStr(redis.url),
                database_url=SecretStr(postgres.new_database()) if postgres else None,
                artifact_store=None,
                lease_seconds=wanted.lease_seconds,
                slots=wanted.slots,
            )
        upgrade_database(settings)
        bus, database = make_bus(settings), make_database(settings)
        links = await FaultProxies.open(redis, postgres)
        env = _environment(wanted, settings) | clock_env | links.env(settings)
        supervisor = Supervisor(
            bus, env, wanted.folder / "logs", make_process=ForkedProcess, max_wait_seconds=0.1
        )
        world = cls(
            wanted,
            redis,
            postgres,
            settings,
            supervisor,
            bus,
            database,
            make_client(settings, database, bus),
            clock,
            links,
        )
        world.set_traps([], 0)
        world._start_processes()
        return world

    def _start_processes(self) -> None:
        for number in range(2 if self.settings.database_url else 1):
            self.supervisor.start(SupervisedProcess(f"orchestrator-{number}", OrchestratorArgv()))
        for number in range(self.wanted.workers):
            # The death of every other worker is not reported, so that its lease has to expire.
            tells = number % 2 == 0
            self.supervisor.start(SupervisedProcess(f"worker-{number}", _worker, reports_death=tells))
        self._jobs = [asyncio.create_task(job) for job in (self.supervisor.watch(), self._continue_on_time())]

    @property
    def redis(self) -> ChaosRedis:
        """The private server. A deployment's own server must not be used for faults."""
        assert self.private_redis is not None
        return self.private_redis

    # --- faults --------------------------------------------------------------------------------------

    @property
    def orchestrators(self) -> list[SupervisedProcess]:
        """The orchestrators."""
        return [target for target in self.supervisor.processes if target.worker_id is None]

    @property
    def workers(self) -> list[SupervisedProcess]:
        """The workers."""
        return [target for target in self.supervisor.processes if target.worker_id is not None]

    def kill(self, targets: Sequence[SupervisedProcess]) -> int:
        """kill -9 the processes. Returns how many were alive."""
        alive = [one.process for one in targets if one.process is not None and one.process.alive]
        for process in alive:
            process.signal(signal.SIGKILL)
        return len(alive)

    @staticmethod
    def signal(pid: int, number: int) -> None:
        """Send a signal to any process of the world; does nothing when it has ended."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def stop_for(self, target: SupervisedProcess, seconds: float) -> bool:
        """Send SIGSTOP to a running process, and SIGCONT after `seconds`. Returns whether it was running."""
        process = target.process
        return process is not None and process.alive and self.stop_pid_for(process.pid, seconds)

    def stop_pid_for(self, pid: int, seconds: float) -> bool:
        """As `stop_for`, for any process of the world that runs."""
        if pid in self._stopped:
            return False
        self.signal(pid, signal.SIGSTOP)
        self._stopped[pid] = time.monotonic() + seconds
        return True

    def set_traps(self, traps: list[Trap], seed: int) -> None:
        """Arm these failpoints in all processes. Processes with other failpoints are killed and restarted."""
        chance = random.Random(seed)  # noqa: S311 - chosen to be repeatable
        words = ",".join(f"{trap.name}={trap.action}@{trap.chance:g}" for trap in traps)
        notes = ",".join(f"{name}={Action.NOTE}" for name in NOTED)
        self.supervisor.env["MULTI_AGENT_FAILPOINTS"] = f"{notes},{words}" if words else notes
        self.supervisor.env["MULTI_AGENT_FAILPOINT_SEED"] = str(chance.getrandbits(32))
        if traps != self.traps:
            self.traps = traps
            self.kill(self.supervisor.processes)

    def pop_strikes(self) -> list[str]:
        """Return the failpoints that struck since the last call."""
        self._read_failpoint_log()
        struck, self._struck = self._struck, []
        return struck

    def _read_failpoint_log(self) -> None:
        """Read new lines of the failpoints' log, and note which processes have stopped themselves."""
        path = self.settings.data / "failpoints.log"
        if not path.exists():
            return
        with path.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            _, pid, name, action, *about = line.split(" ")
            if action == Action.NOTE:
                self.notes.append((name, " ".join(about)))
                continue
            self._struck.append(name)
            if action == Action.STOP:
                # Longer than its lease for a worker; less for an orchestrator, which delays everything.
                leases = 0.3 if name.startswith(("orchestrator.", "git_publisher.")) else 1.5
                self._stopped[int(pid)] = time.monotonic() + self.wanted.lease_seconds * leases

    async def _continue_on_time(self) -> None:
        """Continue stopped processes in a separate task: one may hold a lock that the round waits for."""
        while True:
            self._read_failpoint_log()
            self._continue_stopped()
            await asyncio.sleep(_CONTINUE_SECONDS)

    def _continue_stopped(self, *, all_of_them: bool = False) -> None:
        """Send SIGCONT to stopped processes whose time is up, or to all."""
        for pid, until in list(self._stopped.items()):
            if all_of_them or time.monotonic() >= until:
                del self._stopped[pid]
                self.signal(pid, signal.SIGCONT)

    async def heal(self) -> None:
        """End every fault that is still in effect."""
        self.set_traps([], 0)
        self.pop_strikes()
        self._continue_stopped(all_of_them=True)
        self.links.clear()
        if self.clock is not None:
            self.clock.step(0)
        if self.private_redis is not None:
            await self.private_redis.heal()
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.start)

    async def close(self) -> None:
        """Stop all processes and services."""
        self._continue_stopped(all_of_them=True)
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self.supervisor.stop()
        await self.links.close()
        await self.database.close()
        await self.bus.close()
        if self.private_redis is not None:
            await self.private_redis.close()
        if self.postgres is not None:
            self.postgres.stop()


def _worker() -> tuple[list[str], str | None]:
    return worker_argv((), ("multi_agent.chaos.agents",))


def _environment(wanted: ScratchSettings, settings: Settings) -> dict[str, str]:
    shown = {
        "PATH": wanted.search_path,
        "HOME": str(wanted.folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": "",
        "MULTI_AGENT_DATA_DIR": str(settings.data),
        "REDIS_URL": settings.redis_url.get_secret_value() if settings.redis_url else "",
        "MULTI_AGENT_LEASE_SECONDS": str(settings.lease_seconds),
        "MULTI_AGENT_SLOTS": str(settings.slots),
        "MULTI_AGENT_MODEL": f"replay:{wanted.folder / 'answers'}",
        "MULTI_AGENT_SANDBOX": wanted.sandbox,
        "OPENAI_API_KEY": CANARY,
        "GEMINI_API_KEY": CANARY,
    }
    if settings.artifact_store:
        shown["MULTI_AGENT_ARTIFACT_STORE"] = settings.artifact_store
    if settings.database_url:
        shown["DATABASE_URL"] = settings.database_url.get_secret_value()
    return {name: value for name, value in shown.items() if value or name != "PYTHONPATH"}
