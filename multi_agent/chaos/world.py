"""The system under test, in a scratch folder: private services, real orchestrators and workers, a client."""

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
from multi_agent.runtime.supervisor import Charge, OrchestratorArgv, Supervisor, worker_argv
from multi_agent.settings import Settings
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.storage.sql.database import Database

_WAKE_SECONDS = 0.05
NOTED = ("worker.before_run", "worker.before_model", "worker.after_exchange")
"""Failpoints that always leave a line: who ran what, and which model answers were had and stored."""

CANARY = "canary-2b7e151628aed2a6abf7158809cf4f3c"
"""Stands in for a secret in the environment of every process; it must be found nowhere."""


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """postgres: on PostgreSQL, with two orchestrators; else on SQLite, with the one it can have.

    steps_clock: the wall clock of all processes can be stepped; needs a C compiler. deployment: the settings
    of one whose Redis, PostgreSQL and artifact store are used; then only the processes are ours to hit.
    """

    folder: Path
    postgres: bool = False
    workers: int = 6
    slots: int = 3
    lease_seconds: float = 1.5
    sandbox: str = "auto"
    search_path: str = os.defpath
    steps_clock: bool = False
    deployment: Settings | None = None


@dataclass(slots=True)
class World:
    """Everything that a fault may hit. `start` it, `close` it."""

    wanted: WorldSettings
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
    notes: list[tuple[str, str]] = field(default_factory=list)
    _stopped: dict[int, float] = field(default_factory=dict)
    _struck: list[str] = field(default_factory=list)
    _read: int = 0
    _jobs: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def start(cls, wanted: WorldSettings) -> World:
        """Start everything."""
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
        supervisor = Supervisor(bus, env, wanted.folder / "logs", make=ForkedProcess, most_wait_seconds=0.1)
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
        world._start_processes()
        return world

    def _start_processes(self) -> None:
        for number in range(2 if self.settings.database_url else 1):
            self.supervisor.start(Charge(f"orchestrator-{number}", OrchestratorArgv()))
        for number in range(self.wanted.workers):
            # Every other worker has nobody who tells of its death.
            tells = number % 2 == 0
            self.supervisor.start(Charge(f"worker-{number}", _worker, tells=tells))
        self._jobs = [asyncio.create_task(job) for job in (self.supervisor.watch(), self._keep_awake())]

    @property
    def redis(self) -> ChaosRedis:
        """The private server; a deployment's is not ours to hit."""
        assert self.private_redis is not None
        return self.private_redis

    # --- whom to hit ---------------------------------------------------------------------------------

    @property
    def owners(self) -> list[Charge]:
        """The orchestrators."""
        return [charge for charge in self.supervisor.charges if charge.worker_id is None]

    @property
    def workers(self) -> list[Charge]:
        """The workers."""
        return [charge for charge in self.supervisor.charges if charge.worker_id is not None]

    def kill(self, charges: Sequence[Charge]) -> int:
        """kill -9; how many were alive."""
        alive = [one.process for one in charges if one.process is not None and one.process.alive]
        for process in alive:
            process.signal(signal.SIGKILL)
        return len(alive)

    @staticmethod
    def signal(pid: int, number: int) -> None:
        """Send a signal to any process of the world; ignored when it is gone."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def stop_for(self, charge: Charge, seconds: float) -> bool:
        """SIGSTOP one that runs, and SIGCONT later."""
        process = charge.process
        if process is None or not process.alive or process.pid in self._stopped:
            return False
        process.signal(signal.SIGSTOP)
        self._stopped[process.pid] = time.monotonic() + seconds
        return True

    def set_traps(self, traps: list[Trap], seed: int) -> None:
        """From their next start on the processes meet these; those that run are replaced now."""
        chance = random.Random(seed)  # noqa: S311 - chosen to be repeatable
        words = ",".join(f"{trap.name}={trap.action}@{trap.chance:g}" for trap in traps)
        notes = ",".join(f"{name}={Action.NOTE}" for name in NOTED)
        self.supervisor.env["MULTI_AGENT_FAILPOINTS"] = f"{notes},{words}" if words else notes
        self.supervisor.env["MULTI_AGENT_FAILPOINT_SEED"] = str(chance.getrandbits(32))
        if traps != self.traps:
            self.traps = traps
            self.kill(self.supervisor.charges)

    def strikes(self) -> list[str]:
        """The failpoints that struck since the last call."""
        self._listen()
        struck, self._struck = self._struck, []
        return struck

    def _listen(self) -> None:
        """Take in what failpoints have written. What stopped is noted."""
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
                # A worker must outlive its lease; an orchestrator holds everybody up, and is back sooner.
                leases = 0.3 if name.startswith(("owner.", "keeper.")) else 1.5
                self._stopped[int(pid)] = time.monotonic() + self.wanted.lease_seconds * leases

    async def _keep_awake(self) -> None:
        """By itself, since one that is stopped may hold a lock that everybody else here waits for."""
        while True:
            self._listen()
            self._wake()
            await asyncio.sleep(_WAKE_SECONDS)

    def _wake(self, *, everybody: bool = False) -> None:
        """SIGCONT those whose time has come."""
        for pid, until in list(self._stopped.items()):
            if everybody or time.monotonic() >= until:
                del self._stopped[pid]
                self.signal(pid, signal.SIGCONT)

    async def heal(self) -> None:
        """End every fault that lasts."""
        self.set_traps([], 0)
        self.strikes()
        self._wake(everybody=True)
        self.links.clear()
        if self.clock is not None:
            self.clock.step(0)
        if self.private_redis is not None:
            await self.private_redis.heal()
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.start)

    async def close(self) -> None:
        """Stop everything."""
        self._wake(everybody=True)
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


def _environment(wanted: WorldSettings, settings: Settings) -> dict[str, str]:
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
