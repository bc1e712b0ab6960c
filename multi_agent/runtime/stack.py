"""All of it for one machine: private services, an orchestrator and workers, or those that run already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import SecretStr

from contracts.ports.bus import MessageBus
from multi_agent.bootstrap import HOST, make_bus, upgrade_database
from multi_agent.embedded.redis_server import EmbeddedRedis, start_redis
from multi_agent.runtime.locks import FileLock
from multi_agent.runtime.processes import orchestrator_lock
from multi_agent.runtime.supervisor import (
    Charge,
    OrchestratorArgv,
    Supervisor,
    sandbox_host_argv,
    worker_argv,
)
from multi_agent.settings import Settings, child_environment

RESTART_SECONDS = 0.25


class Stack:
    """What serves a data folder.

    `start` either starts everything, or joins the processes that serve the folder already. `settings` is then
    what a client needs. `say` hears, in words, what was found and started.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        *,
        roles: Sequence[str] = (),
        modules: Sequence[str] = (),
    ) -> None:
        self.settings = self._wanted = settings
        self.say = say
        self.joined = False
        self._roles = roles
        self._modules = modules
        self._lock: FileLock | None = None
        self._redis: EmbeddedRedis | None = None
        self._bus: MessageBus | None = None
        self._supervisor: Supervisor | None = None
        self._jobs: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start or join."""
        lock = FileLock(self._wanted.data / "stack.lock")
        if orchestrator_lock(self._wanted).held_by_other() or not lock.acquire():
            self.joined = True
            self.settings = _with_redis(self._wanted, lock.note().get("redis_url"))
            self.say(f"joined the processes that already serve {_shown(self.settings.data)}")
            await asyncio.to_thread(upgrade_database, self.settings)
            return
        self.joined, self._lock = False, lock
        try:
            await self._start_all(lock)
        except BaseException:
            await self.stop()
            raise

    async def _start_all(self, lock: FileLock) -> None:
        self.settings = self._wanted
        logs = self.settings.data / "logs"
        if self.settings.redis_url is None:
            self._redis = await start_redis(
                logs, search_path=self.settings.search_path, runtime_dir=self.settings.runtime_base
            )
            self.settings = _with_redis(self.settings, self._redis.url)
            self.say(f"started a private Redis ({self._redis.kind}: {self._redis.note})")
        assert self.settings.redis_url is not None
        lock.describe({"redis_url": self.settings.redis_url.get_secret_value()})
        await asyncio.to_thread(upgrade_database, self.settings)
        self._bus = make_bus(self.settings)
        self._supervisor = Supervisor(self._bus, child_environment(self.settings), logs)
        self._launch(self._supervisor)
        self._jobs.append(asyncio.create_task(self._supervisor.watch()))
        if self._redis is not None:
            self._jobs.append(asyncio.create_task(_keep_running(self._redis)))
        self.say(f"started an orchestrator and {self.settings.workers} workers (logs in {_shown(logs)})")

    def _launch(self, supervisor: Supervisor) -> None:
        supervisor.start(Charge("orchestrator", OrchestratorArgv()))
        for number in range(1, self.settings.workers + 1):
            supervisor.start(Charge(f"worker-{number}", lambda: worker_argv(self._roles, self._modules)))
        if self.settings.sandbox == HOST:
            slots = min(self.settings.workers * self.settings.slots, 256)
            supervisor.start(Charge("sandbox-host", lambda: sandbox_host_argv(slots)))

    async def take_over(self) -> bool:
        """After joining: start everything when those who served the folder are gone. True when it did."""
        locks = (orchestrator_lock(self._wanted), FileLock(self._wanted.data / "stack.lock"))
        if not self.joined or any(lock.held_by_other() for lock in locks):
            return False
        await self.start()
        return not self.joined

    async def stop(self) -> None:
        """Stop what `start` started; what was joined goes on."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs.clear()
        if self._supervisor is not None:
            await self._supervisor.stop()
        if self._bus is not None:
            await self._bus.close()
        if self._redis is not None:
            await self._redis.stop()
        if self._lock is not None:
            self._lock.release()
        self._supervisor = self._bus = self._redis = self._lock = None


async def _keep_running(redis: EmbeddedRedis) -> None:
    """Start a private Redis that died again, on the same socket; what it held is published again."""
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
