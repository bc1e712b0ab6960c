"""Sandbox hosts, in this process and in processes of their own, and callers of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from contracts.bus.connect import open_message_bus
from contracts.messages.channels import Channels
from contracts.messages.sandbox import SandboxHost, SandboxOutcome
from contracts.ports.bus import MessageBus
from contracts.ports.sandbox import Sandbox
from sandbox_runner.service.call_policy import CallTimeouts
from sandbox_runner.service.host import Host
from sandbox_runner.service.messages import read
from sandbox_runner.service.remote import RemoteSandbox, find_hosts
from sandbox_runner.service.settings import HostSettings
from sandbox_runner.service.workspaces.serving import Served
from tests.support.measuring import measuring
from tests.support.redis_servers import PrivateRedis

LEASE = 1.5
START_SECONDS = 30


class HostProcess:
    """`multi-agent worker --role sandbox` on a Redis, with the weakest backend, which is always there."""

    def __init__(self, url: str, folder: Path, toolbox: Path, *, slots: int = 4) -> None:
        self.host_id = f"host-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        toolbox.mkdir(parents=True, exist_ok=True)
        (folder / "toolbox").symlink_to(toolbox)
        argv = ["worker", "--role", "sandbox", "--sandbox", "namespaces", "--worker-id", self.host_id]
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "REDIS_URL": url,
            "MULTI_AGENT_DATA_DIR": str(folder),
            "MULTI_AGENT_LEASE_SECONDS": str(LEASE),
            # Those that wait would be counted among the sandboxes of the test process.
            "MULTI_AGENT_SANDBOX_WARM": "0",
            **measuring(),
        }
        self.log = folder / "host.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "multi_agent.cli", *argv, "--slots", str(slots)],
                env=env,
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def terminate(self) -> float:
        """SIGTERM; the seconds until it was out."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()
        return time.monotonic() - began

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


async def answers(bus: MessageBus, *host_ids: str) -> None:
    """Wait until these hosts are heard."""
    deadline = time.monotonic() + START_SECONDS
    while not set(host_ids) <= {host.host_id for host in await find_hosts(bus, 0.5)}:
        assert time.monotonic() < deadline, "no sandbox host answers"


@contextmanager
def served_redis(toolbox: Path) -> Iterator[str]:
    """A Redis with one host process; the URL."""
    redis = PrivateRedis().start()
    host = HostProcess(redis.url, redis.folder / "host", toolbox)
    try:

        async def answered() -> None:
            bus = open_message_bus(redis.url)
            await answers(bus, host.host_id)
            await bus.close()

        asyncio.run(answered())
        yield redis.url
    finally:
        host.kill()
        redis.stop()


@asynccontextmanager
async def remote_sandbox(url: str, **patience: float) -> AsyncIterator[RemoteSandbox]:
    """A caller on this Redis."""
    bus = open_message_bus(url)
    sandbox = RemoteSandbox(
        bus, f"caller-{uuid.uuid4().hex[:8]}", timeouts=CallTimeouts(**{"lease": LEASE, **patience})
    )
    try:
        yield sandbox
    finally:
        await sandbox.close()
        await bus.close()


@asynccontextmanager
async def hosted(
    bus: MessageBus,
    sandbox: Sandbox,
    host_id: str = "host-1",
    served: Served | None = None,
    **settings: Any,
) -> AsyncIterator[Host]:
    """A host in this process."""
    wanted = {"lease_seconds": LEASE, "heartbeat_seconds": 0.2, "block_ms": 100, **settings}
    host = Host(bus, sandbox, HostSettings(host_id, "here", **wanted), served)
    task = asyncio.create_task(host.run())
    await answers(bus, host_id)
    try:
        yield host
    finally:
        host.stop()
        await task


class Ear:
    """What hosts tell one caller and everybody, for callers that are played by a test."""

    def __init__(self, bus: MessageBus, caller_id: str) -> None:
        self.outcomes: list[SandboxOutcome] = []
        self.hosts: list[SandboxHost] = []
        self._subscription = bus.subscribe([Channels.sandbox_results(caller_id), Channels.SANDBOX_HOSTS])
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for channel, payload in self._subscription:
            if channel == Channels.SANDBOX_HOSTS:
                self.hosts.append(read(payload, SandboxHost))
            else:
                self.outcomes.append(read(payload, SandboxOutcome))

    async def ready(self) -> None:
        await self._subscription.ready()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._subscription.close()
