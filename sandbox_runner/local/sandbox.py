"""Sandboxes that are processes of this machine: the common part of bubblewrap and namespaces."""

from __future__ import annotations

import asyncio
import base64
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from contracts.ports.sandbox import Isolation, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.engine import seccomp
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.execution import Executions
from sandbox_runner.engine.payload import UNPRIVILEGED, WORK, GuestSetup, make_job
from sandbox_runner.engine.pool import Pool
from sandbox_runner.engine.reaper import Reaper
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.engine.tmpfs import temporary_mounts, tmpfs_mounts
from sandbox_runner.guest.measuring.processes import same_memory
from sandbox_runner.local.cgroups import find_parent, remove_abandoned
from sandbox_runner.local.launchers import end_abandoned
from sandbox_runner.local.process import LocalProcess, Planner
from sandbox_runner.local.rootfs import ENVIRONMENT, Root, plan_root
from sandbox_runner.local.toolbox import ensure_toolbox
from sandbox_runner.workspace.opening import WRITTEN

_NPROC_PER_NAMESPACE = (5, 14)
"""Older kernels count a user's processes over all namespaces, so RLIMIT_NPROC would hit other programs."""
_NO_KCMP = ", a program above half its limit may be ended when it starts another one (no kcmp here)"


class LocalSandbox:
    """The sandbox port, implemented with a launcher that makes namespaces."""

    isolation = Isolation.NAMESPACES

    def __init__(self, backend: str, plan: Planner, settings: SandboxSettings) -> None:
        self.backend = backend
        self._plan = plan
        self._toolbox = settings.toolbox
        self._root: Root | None = None
        self._cgroup_parent = find_parent()
        # All limits come with the job, so a waiting process can run any job.
        self._pool = Pool(lambda _key: self._start())
        self._executions = Executions(backend, self.isolation, self._pool, settings.max_concurrent)
        self._reaper = Reaper(backend, self.reap)

    def keep_warm(self, size: int) -> None:
        """Keep up to `size` processes waiting for jobs from now on."""
        self._pool.size = size
        if size:
            self._pool.begin(self.backend)

    async def run(self, request: SandboxRequest) -> SandboxResult:
        job = await asyncio.to_thread(
            make_job, request, self._guest_setup(request.limits, tmpfs_mounts(request.limits))
        )
        self._reaper.start(at_once=True)
        return await self._executions.run(request, job, self.backend, self._start)

    async def _start(self) -> LocalProcess:
        return await self._start_with(await self._find_root())

    async def _start_with(self, root: Root) -> LocalProcess:
        process = await LocalProcess.start(self._plan, root, self._cgroup_parent)
        try:
            await process.wait_entered()
        except BaseException:
            await run_to_completion(process.end())
            raise
        return process

    async def start_workspace(
        self, mounts: Mapping[str, str], _limits: SandboxLimits, _work: str, _copied: int
    ) -> LocalProcess:
        """See workspace.opening.WorkspaceBackend. The limits come later: by `confine`, and with the job."""
        self._reaper.start(at_once=True)
        root = await self._find_root()
        binds = tuple((source, target) for target, source in mounts.items())
        place = replace(root, folders=(*root.folders, WRITTEN), binds=(*root.binds, *binds), workspace=True)
        return await self._start_with(place)

    def workspace_setup(self, limits: SandboxLimits, *, services: bool) -> GuestSetup:
        """See workspace.opening.WorkspaceBackend."""
        return self._guest_setup(limits, temporary_mounts(limits), work=True, services=services)

    async def _find_root(self) -> Root:
        """Return the root. Plan it anew when a part of it no longer exists."""
        if self._root is None or not self._root.is_complete():
            self._root = plan_root(await asyncio.to_thread(ensure_toolbox, self._toolbox))
        return self._root

    async def reap(self) -> int:
        """Remove launchers and control groups of dead processes; return how many."""
        return await asyncio.to_thread(self._reap)

    def _reap(self) -> int:
        count = end_abandoned()
        return count + (remove_abandoned(self._cgroup_parent) if self._cgroup_parent else 0)

    async def close(self) -> None:
        """End the processes that wait for a job."""
        await self._reaper.close()
        await self._pool.close()

    @property
    def limits_in_words(self) -> str:
        """Describe how limits are enforced, for `doctor`."""
        if self._cgroup_parent:
            return f"limits by control group below {self._cgroup_parent}"
        return (
            "no control group (v2) available: memory is measured 20 to 500 times a second, "
            "CPU is limited to whole cores"
        ) + ("" if same_memory(os.getpid(), os.getpid()) else _NO_KCMP)

    @property
    def counts_processes(self) -> bool:
        """Tell whether the number of a program's processes is limited."""
        return self._cgroup_parent is not None or _nproc_is_fair()

    def _guest_setup(
        self,
        limits: SandboxLimits,
        mounts: list[tuple[str, str]],
        *,
        work: bool = False,
        services: bool = False,
    ) -> GuestSetup:
        """`work`: the work folder is writable too, though none of the mounts."""
        counted = self._cgroup_parent is not None
        return GuestSetup(
            environment=ENVIRONMENT,
            isolation={
                "tmpfs": mounts,
                "writable": [*([WORK] if work else []), *(folder for folder, _ in mounts)],
                "identity": UNPRIVILEGED,
                "cpu_count": 0 if counted else math.ceil(limits.cpus),
                "measured": not counted,
                "filter": seccomp_filter(counted=counted, services=services),
            },
            rlimits={} if counted or not _nproc_is_fair() else {"RLIMIT_NPROC": limits.processes + 2},
        )


@cache
def seccomp_filter(*, counted: bool, services: bool = False) -> str:
    """Return the filter in base64, as the guest reads it. `counted`: a control group counts all memory."""
    program = seccomp.bpf_program(deny_uncounted_memory=not counted, small_segments=services)
    return base64.b64encode(program).decode("ascii")


def _nproc_is_fair() -> bool:
    major, minor, *_ = platform.release().split(".")
    return os.geteuid() == 0 or (int(major), int(minor.split("-")[0])) >= _NPROC_PER_NAMESPACE
