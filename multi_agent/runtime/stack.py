"""Runs everything on one machine: private services, an orchestrator and workers, or joins running ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from contracts.base.errors import InvalidInput, MultiAgentError
from contracts.ports.bus import MessageBus
from multi_agent.bootstrap import HOST, create_artifacts, make_bus, open_current_database
from multi_agent.embedded.redis_server import EmbeddedRedis, start_redis
from multi_agent.runtime.beside import beside
from multi_agent.runtime.forking.forked_processes import ForkedProcesses
from multi_agent.runtime.locks import FileLock
from multi_agent.runtime.observing.bus_watch import BusTrouble, check_bus
from multi_agent.runtime.processes import orchestrator_lock
from multi_agent.runtime.supervisor import (
    OrchestratorArgv,
    SupervisedProcess,
    Supervisor,
    gateway_argv,
    sandbox_host_argv,
    worker_argv,
)
from multi_agent.settings import Settings, child_environment

RESTART_SECONDS = 0.25
TAKE_OVER_SECONDS = 1.0


class Stack:
    """The services and processes that serve a data folder.

    `start` starts everything, or joins the processes that already serve the folder. After that, `settings`
    contains what a client needs, and `joined` says which of the two happened.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        *,
        roles: Sequence[str] = (),
        modules: Sequence[str] = (),
        forked: ForkedProcesses | None = None,
        gateway_port: int | None = None,
    ) -> None:
        """Prepare the stack.

        say: is called with a sentence for the user about each thing that was found or started.
        roles: the roles of the workers, () for all.
        modules: Python modules with further agents.
        forked: what makes the processes, started early by a caller who closes it; by default one of its own.
        gateway_port: of a gateway to models; None for none.
        """
        self.settings = self._wanted = settings
        self.say = say
        self.joined = False
        self._roles = roles
        self._modules = modules
        self._given = forked
        self._gateway_port = gateway_port
        self._forked: ForkedProcesses | None = None
        self._lock: FileLock | None = None
        self._redis: EmbeddedRedis | None = None
        self._bus: MessageBus | None = None
        self._supervisor: Supervisor | None = None
        self._trouble = BusTrouble()
        self._jobs: list[asyncio.Task[None]] = []

    async def start(self, *, join: bool = True) -> None:
        """Start everything, or join what already runs.

        Raises BusUnavailable when the Redis that the user named does not answer, and without `join`
        InvalidInput when the folder is served already.
        """
        await check_bus(self._wanted, self.say)
        lock = FileLock(self._wanted.data / "stack.lock")
        if orchestrator_lock(self._wanted).held_by_other() or not lock.acquire():
            if not join:
                raise InvalidInput(f"{_shown(self._wanted.data)} is served already; stop that first")
            self.joined = True
            self.settings = _with_redis(self._wanted, lock.note().get("redis_url"))
            self.say(f"joined the processes that already serve {_shown(self.settings.data)}")
            await (await open_current_database(self.settings)).close()
            return
        self.joined, self._lock = False, lock
        try:
            await self._start_all(lock)
        except BaseException:
            await self.stop()
            raise

    async def _start_all(self, lock: FileLock) -> None:
        self.settings = self._wanted
        make_process = self._given or self._fork()
        logs = self.settings.data / "logs"
        starting = asyncio.create_task(self._start_redis(logs))
        self._jobs.append(starting)
        await (await open_current_database(self.settings)).close()
        await asyncio.to_thread(create_artifacts, self.settings)
        await starting
        assert self.settings.redis_url is not None
        lock.describe({"redis_url": self.settings.redis_url.get_secret_value()})
        self._bus = make_bus(self.settings)
        self._supervisor = Supervisor(self._bus, child_environment(self.settings), logs, make_process)
        self._launch(self._supervisor)
        self._jobs.append(asyncio.create_task(self._supervisor.watch()))
        if self._redis is not None:
            self._jobs.append(asyncio.create_task(_keep_running(self._redis)))
        self.say(f"starting an orchestrator and {self.settings.workers} workers (logs in {_shown(logs)})")

    async def _start_redis(self, logs: Path) -> None:
        if self.settings.redis_url is not None:
            return
        self._redis = await start_redis(
            logs, search_path=self.settings.search_path, runtime_dir=self.settings.runtime_base
        )
        self.settings = _with_redis(self.settings, self._redis.url)
        self.say(f"started a private Redis ({self._redis.kind}: {self._redis.note})")

    def _fork(self) -> ForkedProcesses:
        self._forked = ForkedProcesses(child_environment(self.settings))
        return self._forked

    def _launch(self, supervisor: Supervisor) -> None:
        supervisor.start(SupervisedProcess("orchestrator", OrchestratorArgv()))
        for number in range(1, self.settings.workers + 1):
            argv = partial(worker_argv, self._roles, self._modules)
            supervisor.start(SupervisedProcess(f"worker-{number}", argv))
        if self.settings.sandbox == HOST:
            slots = min(self.settings.workers * self.settings.slots, 256)
            supervisor.start(SupervisedProcess("sandbox-host", partial(sandbox_host_argv, slots)))
        if self._gateway_port is not None:
            supervisor.start(SupervisedProcess("gateway", partial(gateway_argv, self._gateway_port)))
            self.say(f"starting a gateway at http://{self.settings.gateway_host}:{self._gateway_port}")

    async def take_over(self) -> bool:
        """After joining, start everything if the other processes have ended. Returns whether it did."""
        locks = (orchestrator_lock(self._wanted), FileLock(self._wanted.data / "stack.lock"))
        if not self.joined or any(lock.held_by_other() for lock in locks):
            return False
        await self.start()
        return not self.joined

    def kept_served(self) -> AbstractAsyncContextManager[None]:
        """While the `with` body runs, take over when the joined processes have ended."""
        return beside(self._keep_served())

    async def _keep_served(self) -> None:
        while True:
            await asyncio.sleep(TAKE_OVER_SECONDS)
            try:
                await self.take_over()
            except (MultiAgentError, OSError) as error:
                self.say(f"cannot take over yet: {error}")

    async def trouble(self) -> str | None:
        """What everything waits for, in words; None when that is nothing."""
        return await self._trouble.of(self.settings)

    async def stop(self) -> None:
        """Stop what `start` started; joined processes keep running."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs.clear()
        if self._supervisor is not None:
            await self._supervisor.stop()
        if self._forked is not None:
            self._forked.close()
        await self._trouble.close()
        if self._bus is not None:
            await self._bus.close()
        if self._redis is not None:
            await self._redis.stop()
        if self._lock is not None:
            self._lock.release()
        self._supervisor = self._forked = self._bus = self._redis = self._lock = None


async def _keep_running(redis: EmbeddedRedis) -> None:
    """Restart a private Redis that died, on the same socket. Lost messages are published again."""
    while True:
        if not redis.process.alive:
            redis.process.start()
        await asyncio.sleep(RESTART_SECONDS)


def _with_redis(settings: Settings, url: str | None) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(url)}) if url else settings


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
