"""Sandboxes that are processes of this machine: what bubblewrap and namespaces have in common."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import os
import platform
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contracts.base.errors import SandboxUnavailable
from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import Isolation, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.engine import seccomp
from sandbox_runner.engine.conversation import START_SECONDS, Transcript, to_the_end
from sandbox_runner.engine.execution import Executions
from sandbox_runner.engine.payload import UNPRIVILEGED, Walls, make_job
from sandbox_runner.engine.pool import Pool
from sandbox_runner.engine.reaper import Reaper
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.engine.tmpfs import tmpfs_mounts
from sandbox_runner.local.cgroups import Cgroup, find_parent, remove_abandoned
from sandbox_runner.local.launchers import end_abandoned, marked
from sandbox_runner.local.rootfs import ENVIRONMENT, Root, plan_root
from sandbox_runner.local.toolbox import ensure_toolbox

_DIAGNOSIS_BYTES = 2_000
_END_SECONDS = 10.0
# Before that the kernel counted a user's processes over all his namespaces, which hits the innocent.
_NPROC_PER_NAMESPACE = (5, 14)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start process 1: a command, and what it reads before the job."""

    argv: tuple[str, ...]
    preamble: bytes


# (root, file descriptor for {"child-pid": n}) -> Launch
Planner = Callable[[Root, int], Launch]


class LocalSandbox:
    """The port on top of a launcher that makes namespaces."""

    isolation = Isolation.NAMESPACES

    def __init__(self, backend: str, plan: Planner, settings: SandboxSettings) -> None:
        self.backend = backend
        self._plan = plan
        self._toolbox = settings.toolbox
        self._root: Root | None = None
        self._cgroup_parent = find_parent()
        # A launcher takes all limits with the job, so one waiting process serves any.
        self._pool = Pool(lambda _key: self._start())
        self._executions = Executions(backend, self.isolation, self._pool, settings.max_concurrent)
        self._reaper = Reaper(backend, self.reap)

    def keep_warm(self, size: int) -> None:
        """From now on let up to `size` processes wait for jobs."""
        self._pool.size = size

    async def run(self, request: SandboxRequest) -> SandboxResult:
        job = make_job(request, self._walls(request.limits))
        self._reaper.start(at_once=True)
        return await self._executions.run(request, job, self.backend, self._start)

    async def _start(self) -> LocalProcess:
        process = await LocalProcess.start(self._plan, await self._find_root(), self._cgroup_parent)
        try:
            await process.entered()
        except BaseException:
            await to_the_end(process.end())
            raise
        return process

    async def _find_root(self) -> Root:
        """The root; again when somebody took what it is made of away."""
        if self._root is None or not self._root.is_complete():
            self._root = plan_root(await asyncio.to_thread(ensure_toolbox, self._toolbox))
        return self._root

    async def reap(self) -> int:
        """Remove launchers and control groups of dead processes; how many they were."""
        return await asyncio.to_thread(self._reap)

    def _reap(self) -> int:
        count = end_abandoned()
        return count + (remove_abandoned(self._cgroup_parent) if self._cgroup_parent else 0)

    async def close(self) -> None:
        """End what waits for a job."""
        await self._reaper.close()
        await self._pool.close()

    @property
    def limits_in_words(self) -> str:
        """How limits are kept, for `doctor`."""
        if self._cgroup_parent:
            return f"limits by control group below {self._cgroup_parent}"
        return "no control group (v2) to be had: memory is watched every 25 ms, CPU is limited to whole cores"

    @property
    def counts_processes(self) -> bool:
        """Whether anything limits how many processes a program has."""
        return self._cgroup_parent is not None or _nproc_is_fair()

    def _walls(self, limits: SandboxLimits) -> Walls:
        counted = self._cgroup_parent is not None
        return Walls(
            environment=ENVIRONMENT,
            isolation={
                "tmpfs": tmpfs_mounts(limits),
                "identity": UNPRIVILEGED,
                "cpu_count": 0 if counted else math.ceil(limits.cpus),
                "filter": seccomp_filter(counted=counted),
            },
            rlimits={} if counted or not _nproc_is_fair() else {"RLIMIT_NPROC": limits.processes + 2},
            poll_memory=not counted,
        )


@cache
def seccomp_filter(*, counted: bool) -> str:
    """The filter as the guest takes it. `counted`: a control group counts all memory."""
    return base64.b64encode(seccomp.bpf_program(deny_uncounted_memory=not counted)).decode("ascii")


def _nproc_is_fair() -> bool:
    major, minor, *_ = platform.release().split(".")
    return os.geteuid() == 0 or (int(major), int(minor.split("-")[0])) >= _NPROC_PER_NAMESPACE


class LocalProcess:
    """A launcher, process 1 behind it, and the socket that is their standard input and output.

    It is used once (see pool.WarmSandbox).
    """

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        info: socket.socket,
        complaints: int,
        cgroup_parent: Path | None,
    ) -> None:
        self._popen = popen
        self._info = info
        self._complaints = complaints
        self._cgroup_parent = cgroup_parent
        self._cgroup: Cgroup | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._first: int | None = None
        self._first_pid = 0

    @classmethod
    async def start(cls, plan: Planner, root: Root, cgroup_parent: Path | None) -> LocalProcess:
        """Start the launcher and hand it its preamble. Raises SandboxUnavailable."""
        ours, theirs = socket.socketpair()
        info, info_end = socket.socketpair()
        complaints = os.memfd_create("launcher-stderr")
        launch = plan(root, info_end.fileno())
        try:
            # Popen blocks for a fork only; a thread must not do it, its end would be the "parent's death".
            popen = subprocess.Popen(  # noqa: ASYNC220 - as said
                launch.argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=complaints,
                pass_fds=(info_end.fileno(),),
                env=marked(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            for end in (ours, info):
                end.close()
            os.close(complaints)
            raise SandboxUnavailable(f"{launch.argv[0]}: {error.strerror}") from None
        finally:
            theirs.close()
            info_end.close()
        process = cls(popen, info, complaints, cgroup_parent)
        try:
            failpoint("sandbox.launched")
            process._reader, process._writer = await asyncio.open_unix_connection(sock=ours)
            process._writer.write(launch.preamble)
        except BaseException:
            await to_the_end(process.end())
            raise
        return process

    async def entered(self) -> None:
        """Wait until process 1 exists. Raises SandboxUnavailable."""
        self._info.setblocking(False)
        loop = asyncio.get_running_loop()
        text = b""
        try:
            async with asyncio.timeout(START_SECONDS):
                while part := await loop.sock_recv(self._info, 4096):
                    text += part
        except (TimeoutError, ConnectionError):
            text = b""
        try:
            self._first_pid = int(json.loads(text)["child-pid"])
            self._first = os.pidfd_open(self._first_pid)
        except (ValueError, KeyError, ProcessLookupError):
            raise SandboxUnavailable(f"the sandbox did not start. {await self.diagnosis()}") from None

    def alive(self) -> bool:
        return self._first is not None and not select.select([self._first], [], [], 0)[0]

    async def confine(self, limits: SandboxLimits) -> None:
        """Move launcher and process 1 into a control group with these limits, where one may be made."""
        if self._cgroup_parent is not None:
            self._cgroup = Cgroup.create(self._cgroup_parent, limits)
            self._cgroup.add((self._popen.pid, self._first_pid))

    async def killed_for_memory(self, _heard: Transcript) -> bool:
        return self._cgroup is not None and self._cgroup.oom_kills() > 0

    async def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        assert self._reader is not None
        try:
            return await self._reader.read(65_536)
        except ConnectionError:
            return b""

    async def diagnosis(self) -> str:
        text = os.pread(self._complaints, _DIAGNOSIS_BYTES, 0).decode("utf-8", "replace").strip()
        return f"It said: {text}" if text else ""

    async def end(self) -> None:
        """Kill it; when this returns nothing of it runs.

        Process 1 goes first and is waited for: the kernel lets it go only after everything else in its pid
        namespace is gone.
        """
        if self._first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            await _exited(self._first)
            os.close(self._first)
        else:
            self._popen.kill()
        # A launcher that ended early may have been reaped, and then has no descriptor to wait for.
        with contextlib.suppress(ProcessLookupError):
            launcher = os.pidfd_open(self._popen.pid)
            if not await _exited(launcher):
                self._popen.kill()
                await _exited(launcher)
            os.close(launcher)
        self._popen.poll()
        self._info.close()
        os.close(self._complaints)
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        if self._cgroup is not None:
            self._cgroup.remove()


async def _exited(pidfd: int) -> bool:
    """Wait until the process is gone, for at most ten seconds."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await gone.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True
