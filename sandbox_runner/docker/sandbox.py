"""Docker Engine: one container for each execution; created, attached to, started, and removed by force.

Process 1 of the container is the guest: it reads the job from standard input and answers on standard output.
So there is no `docker exec`, which keeps running when its client is killed, no `docker cp` and no log file.
When the worker dies, standard input closes and the guest ends the container; the reaper removes what is left.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import docker

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Isolation, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.docker import orphans
from sandbox_runner.docker.api import connect, has_image, image_id, translated
from sandbox_runner.docker.container import Container
from sandbox_runner.docker.ways import open_ways
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.execution import Executions
from sandbox_runner.engine.payload import MEGABYTE, PYTHON_OPTIONS, UNPRIVILEGED, WORK, GuestSetup, make_job
from sandbox_runner.engine.pool import IDLE_SECONDS, Pool
from sandbox_runner.engine.protocol import START_SECONDS
from sandbox_runner.engine.reaper import Reaper
from sandbox_runner.engine.seccomp import docker_profile
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.engine.tmpfs import temporary_mounts, tmpfs_mounts

NAME = "docker"

_SPARE_SECONDS = 300
"""So long after its limit a container is an orphan if its process cannot be seen from here."""
_WORKSPACE_SECONDS = 24 * 3_600
"""So old the container of a workspace may get if its process cannot be seen from here."""
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class DockerSandbox:
    """The sandbox port, implemented with a Docker Engine on this machine."""

    backend = NAME
    isolation = Isolation.CONTAINER

    def __init__(self, settings: SandboxSettings, client: docker.APIClient) -> None:
        self._settings = settings
        self.client = client
        self._instance = secrets.token_hex(8)
        self._in_use: set[str] = set()
        self._not_removed: set[str] = set()
        self._pool = Pool(self._start_warm)
        self._executions = Executions(self.backend, self.isolation, self._pool, settings.max_concurrent)
        self._reaper = Reaper(self.backend, self.reap)

    @classmethod
    async def open(cls, settings: SandboxSettings) -> DockerSandbox:
        """Connect and remove orphans. Raises SandboxUnavailable if engine, runtime or image is missing."""
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
            raise SandboxUnavailable(f"the engine has no runtime {runtime!r}")
        if not has_image(self.client, self._settings.image):
            raise SandboxUnavailable(f"the engine answers but has no image {self._settings.image!r}")

    def identity(self) -> tuple[str, ...]:
        """Return what a self-test is valid for: image, runtime, and versions of the engine. Blocking."""
        with translated("the engine"):
            image = image_id(self.client, self._settings.image)
            version = self.client.version()
        parts = [f"{one['Name']} {one['Version']}" for one in version.get("Components", [])]
        return (image, self._settings.runtime or "", *parts)

    def keep_warm(self, size: int) -> None:
        """Keep up to `size` containers waiting for jobs from now on, for each of the limits used last."""
        self._pool.size = size

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """Implement the port. A container that waited for its job does not carry the request's labels."""
        job = await asyncio.to_thread(make_job, request, GuestSetup(environment=_ENVIRONMENT))
        self._reaper.start()
        return await self._executions.run(
            request, job, request.limits, lambda: self._start(request.limits, request.labels)
        )

    async def _start_warm(self, limits: Hashable) -> Container:
        assert isinstance(limits, SandboxLimits)
        return await self._start(limits, {})

    async def start_workspace(
        self, mounts: Mapping[str, str], limits: SandboxLimits, work: str, copied: int
    ) -> Container:
        """See workspace.opening.WorkspaceBackend. The tree is copied, as a container cannot mount."""
        self._reaper.start()
        # What is written stays in memory, and so does the copy.
        memory_mb = limits.memory_mb + -(-copied // MEGABYTE)
        room = replace(limits, wall_seconds=_WORKSPACE_SECONDS, memory_mb=memory_mb)
        options = self._options(room, {}, [(WORK, work), *temporary_mounts(limits)])
        opened = await asyncio.to_thread(open_ways, self._settings.toolbox, mounts)
        binds = [f"{source}:{target}:ro" for target, source in {**opened, **mounts}.items()]
        options["host_config"] |= self.client.create_host_config(binds=binds)
        return await self._start_with(options, workspace=True)

    def workspace_setup(self, _limits: SandboxLimits, *, services: bool) -> GuestSetup:
        """See workspace.opening.WorkspaceBackend."""
        return GuestSetup(environment=_ENVIRONMENT)

    async def _start(self, limits: SandboxLimits, labels: Mapping[str, str]) -> Container:
        return await self._start_with(self._options(limits, labels, tmpfs_mounts(limits)))

    async def _start_with(self, options: dict[str, Any], *, workspace: bool = False) -> Container:
        container = Container(self.client, f"multi-agent-sandbox-{secrets.token_hex(8)}", self._ended)
        self._in_use.add(container.name)
        try:
            await run_to_completion(asyncio.to_thread(container.start, options))
            await container.open_stream(workspace=workspace)
        except BaseException:
            await run_to_completion(container.end())
            raise
        return container

    def _ended(self, name: str, *, removed: bool) -> None:
        self._in_use.discard(name)
        if not removed:
            self._not_removed.add(name)

    async def close(self) -> None:
        """Remove the waiting containers. Raises SandboxUnavailable when a container could not be removed."""
        await self._reaper.close()
        await self._pool.close()
        try:
            if self._not_removed:
                await self.reap()
        finally:
            self.client.close()

    async def reap(self) -> int:
        """Remove containers of dead processes, and those that `end` could not remove; return how many."""
        not_removed = frozenset(self._not_removed)
        count = await asyncio.to_thread(orphans.reap, self.client, self._instance, self._in_use)
        self._not_removed -= not_removed
        return count

    def _options(
        self, limits: SandboxLimits, labels: Mapping[str, str], mounts: list[tuple[str, str]]
    ) -> dict[str, Any]:
        """Return the arguments of create_container."""
        expires = time.time() + IDLE_SECONDS + START_SECONDS + limits.wall_seconds + _SPARE_SECONDS
        return {
            "image": self._settings.image,
            "entrypoint": ["python3", *PYTHON_OPTIONS],
            "command": [],
            "stdin_open": True,
            "user": f"{UNPRIVILEGED}:{UNPRIVILEGED}",
            "working_dir": "/",
            "hostname": "sandbox",
            "labels": {**labels, **orphans.labels(self._instance, expires)},
            "host_config": self.client.create_host_config(**self._host_options(limits, mounts)),
        }

    def _host_options(self, limits: SandboxLimits, mounts: list[tuple[str, str]]) -> dict[str, Any]:
        memory = limits.memory_mb * MEGABYTE
        return {
            "network_mode": "none",
            "ipc_mode": "none",
            "read_only": True,
            "tmpfs": {path: f"{options},exec,nosuid,nodev" for path, options in mounts},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            "mem_limit": memory,
            "memswap_limit": memory,
            "pids_limit": limits.processes + 1,
            "nano_cpus": int(limits.cpus * 1_000_000_000),
            "log_config": {"type": "none"},
            # An engine may have "init" on by default, but the guest must be process 1.
            "init": False,
            "runtime": self._settings.runtime,
        }


@cache
def seccomp_profile() -> str:
    """Return the seccomp profile as the engine reads it. It is always the same."""
    return json.dumps(docker_profile())
