"""Docker Engine: one container an execution, created, attached to, started, and always removed by force.

The container's process 1 is our guest: it reads the job from standard input and answers on standard output.
So there is no exec whose client could be killed in vain, no `docker cp` and no log file. When the worker
dies, standard input closes and the guest ends the container by itself; the reaper removes what is left.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any

import docker

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Isolation, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.docker import orphans
from sandbox_runner.docker.api import connect, has_image, image_id, translated
from sandbox_runner.docker.container import Container
from sandbox_runner.engine.conversation import START_SECONDS, to_the_end
from sandbox_runner.engine.execution import Executions
from sandbox_runner.engine.payload import MEGABYTE, PYTHON_OPTIONS, UNPRIVILEGED, Walls, make_job
from sandbox_runner.engine.pool import IDLE_SECONDS, Pool
from sandbox_runner.engine.reaper import Reaper
from sandbox_runner.engine.seccomp import docker_profile
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.engine.tmpfs import tmpfs_mounts

NAME = "docker"

# Past its limit by this much a container whose owner cannot be seen from here is nobody's.
_SPARE_SECONDS = 300
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class DockerSandbox:
    """The port on top of a Docker Engine on this machine."""

    backend = NAME
    isolation = Isolation.CONTAINER

    def __init__(self, settings: SandboxSettings, client: docker.APIClient) -> None:
        self._settings = settings
        self.client = client
        self._keeper = secrets.token_hex(8)
        self._in_use: set[str] = set()
        self._lost: set[str] = set()
        self._pool = Pool(self._start_warm)
        self._executions = Executions(self.backend, self.isolation, self._pool, settings.max_concurrent)
        self._reaper = Reaper(self.backend, self.reap)

    @classmethod
    async def open(cls, settings: SandboxSettings) -> DockerSandbox:
        """Connect and reap. Raises SandboxUnavailable when engine, runtime or image is missing."""
        client = await asyncio.to_thread(connect, settings)
        sandbox = cls(settings, client)
        try:
            await asyncio.to_thread(sandbox._check)
            await sandbox.reap()
        except BaseException:
            client.close()
            raise
        sandbox._reaper.start()
        return sandbox

    def _check(self) -> None:
        with translated("the engine"):
            info = self.client.info()
        runtime = self._settings.runtime
        if runtime and runtime not in info.get("Runtimes", {}):
            raise SandboxUnavailable(f"the engine knows no runtime {runtime!r}")
        if not has_image(self.client, self._settings.image):
            raise SandboxUnavailable(f"the engine answers but has no image {self._settings.image!r}")

    def identity(self) -> tuple[str, ...]:
        """What a self-test holds for: image, runtime, and the version of the engine. Blocking."""
        with translated("the engine"):
            image = image_id(self.client, self._settings.image)
            version = self.client.version()
        parts = [f"{one['Name']} {one['Version']}" for one in version.get("Components", [])]
        return (image, self._settings.runtime or "", *parts)

    def keep_warm(self, size: int) -> None:
        """From now on let up to `size` containers wait for jobs, for each of the limits used last."""
        self._pool.size = size

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """See the port. A container that waited for its job has none of the request's labels."""
        job = make_job(request, Walls(environment=_ENVIRONMENT))
        self._reaper.start()
        return await self._executions.run(
            request, job, request.limits, lambda: self._start(request.limits, request.labels)
        )

    async def _start_warm(self, limits: Hashable) -> Container:
        assert isinstance(limits, SandboxLimits)
        return await self._start(limits, {})

    async def _start(self, limits: SandboxLimits, labels: Mapping[str, str]) -> Container:
        container = Container(self.client, f"multi-agent-sandbox-{secrets.token_hex(8)}", self._ended)
        self._in_use.add(container.name)
        try:
            await to_the_end(asyncio.to_thread(container.start, self._options(limits, labels)))
            await container.open_stream()
        except BaseException:
            await to_the_end(container.end())
            raise
        return container

    def _ended(self, name: str, *, removed: bool) -> None:
        self._in_use.discard(name)
        if not removed:
            self._lost.add(name)

    async def close(self) -> None:
        """End what waits for a job. Raises SandboxUnavailable when a container could not be removed."""
        await self._reaper.close()
        await self._pool.close()
        try:
            if self._lost:
                await self.reap()
        finally:
            self.client.close()

    async def reap(self) -> int:
        """Remove containers of dead processes, and those that this object lost; how many they were."""
        lost = frozenset(self._lost)
        count = await asyncio.to_thread(orphans.reap, self.client, self._keeper, self._in_use)
        self._lost -= lost
        return count

    def _options(self, limits: SandboxLimits, labels: Mapping[str, str]) -> dict[str, Any]:
        """Arguments of create_container."""
        expires = time.time() + IDLE_SECONDS + START_SECONDS + limits.wall_seconds + _SPARE_SECONDS
        return {
            "image": self._settings.image,
            "entrypoint": ["python3", *PYTHON_OPTIONS],
            "command": [],
            "stdin_open": True,
            "user": f"{UNPRIVILEGED}:{UNPRIVILEGED}",
            "working_dir": "/",
            "hostname": "sandbox",
            "labels": {**labels, **orphans.labels(self._keeper, expires)},
            "host_config": self.client.create_host_config(**self._host_options(limits)),
        }

    def _host_options(self, limits: SandboxLimits) -> dict[str, Any]:
        memory = limits.memory_mb * MEGABYTE
        return {
            "network_mode": "none",
            "ipc_mode": "none",
            "read_only": True,
            "tmpfs": {path: f"{options},exec,nosuid,nodev" for path, options in tmpfs_mounts(limits)},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            "mem_limit": memory,
            "memswap_limit": memory,
            "pids_limit": limits.processes + 1,
            "nano_cpus": int(limits.cpus * 1_000_000_000),
            "log_config": {"type": "none"},
            # An engine may have "init" on by default; our guest must be process 1 itself.
            "init": False,
            "runtime": self._settings.runtime,
        }


@cache
def seccomp_profile() -> str:
    """The profile as the engine takes it; always the same."""
    return json.dumps(docker_profile())
