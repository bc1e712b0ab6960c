"""Docker Engine: one container an execution, created, attached to, started, and always removed by force.

The container's process 1 is our guest: it reads the job from standard input and answers on standard output.
So there is no exec whose client could be killed in vain, no `docker cp` and no log file. When the worker
dies, standard input closes and the guest ends the container by itself; the reaper removes what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import time
from typing import Any

import docker

from contracts.errors import SandboxUnavailable
from contracts.ports import Isolation, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner import owner
from sandbox_runner.conversation import START_SECONDS, Transcript, converse, judge, to_the_end
from sandbox_runner.docker_api import connect, has_image, image_id, translated
from sandbox_runner.payload import MEGABYTE, PYTHON_OPTIONS, UNPRIVILEGED, Job, Walls, boot_block, make_job
from sandbox_runner.rootfs import tmpfs_mounts
from sandbox_runner.seccomp import docker_profile
from sandbox_runner.settings import SandboxSettings

NAME = "docker"

LABEL = "multi-agent.sandbox"
_OWNER, _EXPIRES = "multi-agent.owner", "multi-agent.expires"
# Past its limit by this much a container is nobody's, whoever made it.
_SPARE_SECONDS = 300
_STREAM_HEADER = 8
_STREAM_STDOUT = 1
_DIAGNOSIS_BYTES = 2_000
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class DockerSandbox:
    """The port on top of a Docker Engine on this machine."""

    backend = NAME
    isolation = Isolation.CONTAINER

    def __init__(self, settings: SandboxSettings, client: docker.APIClient) -> None:
        self._settings = settings
        self.client = client
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._left_over: set[str] = set()

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

    async def run(self, request: SandboxRequest) -> SandboxResult:
        job = make_job(request, Walls(environment=_ENVIRONMENT))
        async with self._slots:
            await self._remove_left_over()
            container = _Container(self.client, f"multi-agent-sandbox-{secrets.token_hex(8)}")
            try:
                await to_the_end(asyncio.to_thread(container.start, self._options(request)))
                heard, oom = await self._talk(container, request, job)
            finally:
                await to_the_end(self._end(container))
        return judge(heard, request, backend=self.backend, isolation=self.isolation, oom=oom)

    async def _talk(
        self, container: _Container, request: SandboxRequest, job: Job
    ) -> tuple[Transcript, bool]:
        await container.open_stream()
        heard = await converse(container, request, job)
        silent = heard.ended is None and not heard.timed_out
        return heard, silent and await asyncio.to_thread(container.killed_for_memory)

    async def _end(self, container: _Container) -> None:
        await container.close_stream()
        try:
            await asyncio.to_thread(container.remove)
        except SandboxUnavailable:
            self._left_over.add(container.name)
            raise

    async def _remove_left_over(self) -> None:
        for name in tuple(self._left_over):
            await asyncio.to_thread(_Container(self.client, name).remove)
            self._left_over.discard(name)

    async def close(self) -> None:
        try:
            await self._remove_left_over()
        finally:
            self.client.close()

    async def reap(self) -> int:
        """Remove containers of dead workers and those long past their limit; how many they were."""
        return await asyncio.to_thread(self._reap)

    def _reap(self) -> int:
        with translated("reaping"):
            containers = self.client.containers(all=True, filters={"label": f"{LABEL}=1"})
        doomed = [c["Id"] for c in containers if _is_orphan(c.get("Labels") or {})]
        for container in doomed:
            _Container(self.client, container).remove()
        return len(doomed)

    def _options(self, request: SandboxRequest) -> dict[str, Any]:
        """Arguments of create_container."""
        expires = int(time.time() + START_SECONDS + request.limits.wall_seconds + _SPARE_SECONDS)
        labels = {LABEL: "1", _OWNER: owner.this_process(), _EXPIRES: str(expires)}
        return {
            "image": self._settings.image,
            "entrypoint": ["python3", *PYTHON_OPTIONS],
            "command": [],
            "stdin_open": True,
            "user": f"{UNPRIVILEGED}:{UNPRIVILEGED}",
            "working_dir": "/",
            "hostname": "sandbox",
            "labels": {**request.labels, **labels},
            "host_config": self.client.create_host_config(**self._host_options(request.limits)),
        }

    def _host_options(self, limits: SandboxLimits) -> dict[str, Any]:
        memory = limits.memory_mb * MEGABYTE
        return {
            "network_mode": "none",
            "ipc_mode": "none",
            "read_only": True,
            "tmpfs": {path: f"{options},exec,nosuid,nodev" for path, options in tmpfs_mounts(limits)},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true", f"seccomp={json.dumps(docker_profile())}"],
            "mem_limit": memory,
            "memswap_limit": memory,
            "pids_limit": limits.processes + 1,
            "nano_cpus": int(limits.cpus * 1_000_000_000),
            "log_config": {"type": "none"},
            # An engine may have "init" on by default; our guest must be process 1 itself.
            "init": False,
            "runtime": self._settings.runtime,
        }


def _is_orphan(labels: dict[str, str]) -> bool:
    expires = labels.get(_EXPIRES, "0")
    return owner.is_dead(labels.get(_OWNER, "")) or not expires.isdigit() or int(expires) < time.time()


class _Container:
    """One container, and the stream to its process 1. What is not async blocks."""

    def __init__(self, client: docker.APIClient, name: str) -> None:
        self.name = name
        self._client = client
        self._socket: socket.socket | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._complaints = b""

    def start(self, options: dict[str, Any]) -> None:
        """Create, attach, start, in this order, so that not a byte is lost. Raises SandboxUnavailable."""
        with translated("the container cannot be started"):
            self._client.create_container(name=self.name, **options)
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attached = self._client.attach_socket(self.name, params)
            self._socket = socket.socket(fileno=os.dup(attached.fileno()))
            # Closing what the SDK hands out leaves the connection behind it open; the response closes both.
            attached._response.close()
            self._client.start(self.name)

    async def open_stream(self) -> None:
        assert self._socket is not None
        self._socket.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        self._writer.write(boot_block())

    async def close_stream(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        elif self._socket is not None:
            self._socket.close()

    async def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Bytes of standard output; the engine mixes both outputs into one stream of headed pieces."""
        assert self._reader is not None
        try:
            while True:
                header = await self._reader.readexactly(_STREAM_HEADER)
                data = await self._reader.readexactly(int.from_bytes(header[4:], "big"))
                if header[0] == _STREAM_STDOUT and data:
                    return data
                self._complaints = (self._complaints + data)[:_DIAGNOSIS_BYTES]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def diagnosis(self) -> str:
        text = self._complaints.decode("utf-8", "replace").strip()
        return f"It said: {text}" if text else ""

    def killed_for_memory(self) -> bool:
        """Whether the kernel ended it for memory. Raises SandboxUnavailable when the engine is gone."""
        with translated("the container's end is not known"):
            state = self._client.inspect_container(self.name)["State"]
        return bool(state["OOMKilled"])

    def remove(self) -> None:
        """Kill and remove; one that is not there is fine. Raises SandboxUnavailable."""
        with translated("the container cannot be removed"):
            try:
                self._client.remove_container(self.name, v=True, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != 409:  # somebody else is removing it already
                    raise
