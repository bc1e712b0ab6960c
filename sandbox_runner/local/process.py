"""The processes of one local sandbox: a launcher and process 1."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contracts.base.errors import SandboxUnavailable
from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.protocol import START_SECONDS, Transcript
from sandbox_runner.local.cgroups import Cgroup
from sandbox_runner.local.launchers import marked
from sandbox_runner.local.rootfs import Root

_DIAGNOSIS_BYTES = 2_000
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start process 1."""

    argv: tuple[str, ...]
    """The command."""

    preamble: bytes
    """What the command reads from standard input before the job."""


Planner = Callable[[Root, int], Launch]
"""(root, descriptor to which the launcher writes {"child-pid": n}) -> Launch"""


class LocalProcess:
    """A launcher, its process 1, and the socket that is their standard input and output.

    It runs one job (see pool.WarmSandbox).
    """

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        info: socket.socket,
        stderr: int,
        cgroup_parent: Path | None,
    ) -> None:
        self._popen = popen
        self._info = info
        self._stderr = stderr
        self._cgroup_parent = cgroup_parent
        self._cgroup: Cgroup | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._init: int | None = None
        self._init_pid = 0
        self._oom_kills = 0

    @classmethod
    async def start(cls, plan: Planner, root: Root, cgroup_parent: Path | None) -> LocalProcess:
        """Start the launcher and send the preamble. Raises SandboxUnavailable."""
        ours, theirs = socket.socketpair()
        info, info_end = socket.socketpair()
        stderr = os.memfd_create("launcher-stderr")
        launch = plan(root, info_end.fileno())
        try:
            # Popen blocks only for a fork. In a thread, the end of the thread would count as the death of the
            # parent and kill the launcher.
            popen = subprocess.Popen(  # noqa: ASYNC220 - see above
                launch.argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=stderr,
                pass_fds=(info_end.fileno(),),
                env=marked(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            for end in (ours, info):
                end.close()
            os.close(stderr)
            raise SandboxUnavailable(f"{launch.argv[0]}: {error.strerror}") from None
        finally:
            theirs.close()
            info_end.close()
        process = cls(popen, info, stderr, cgroup_parent)
        try:
            failpoint("sandbox.launched")
            process._reader, process._writer = await asyncio.open_unix_connection(sock=ours)
            process._writer.write(launch.preamble)
        except BaseException:
            await run_to_completion(process.end())
            raise
        return process

    async def wait_entered(self) -> None:
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
            self._init_pid = int(json.loads(text)["child-pid"])
            self._init = os.pidfd_open(self._init_pid)
        except (ValueError, KeyError, ProcessLookupError):
            raise SandboxUnavailable(f"the sandbox did not start. {await self.diagnosis()}") from None

    def alive(self) -> bool:
        return self._init is not None and not select.select([self._init], [], [], 0)[0]

    async def confine(self, limits: SandboxLimits) -> None:
        """Move launcher and process 1 into a control group with these limits, if groups can be made here."""
        if self._cgroup_parent is not None:
            self._cgroup = Cgroup.create(self._cgroup_parent, limits)
            self._cgroup.add((self._popen.pid, self._init_pid))

    async def killed_for_memory(self, _transcript: Transcript) -> bool:
        before, self._oom_kills = self._oom_kills, self._cgroup.oom_kills() if self._cgroup else 0
        return self._oom_kills > before

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
        text = os.pread(self._stderr, _DIAGNOSIS_BYTES, 0).decode("utf-8", "replace").strip()
        return f"It said: {text}" if text else ""

    async def end(self) -> None:
        """Kill the sandbox. No process of it runs when this returns.

        Process 1 is killed first and waited for: the kernel lets it exit only after all other processes of
        its pid namespace have exited.
        """
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
            await _wait_exited(self._init)
            os.close(self._init)
        else:
            self._popen.kill()
        # A launcher that ended early may have been reaped already. Then there is no process to wait for.
        with contextlib.suppress(ProcessLookupError):
            launcher = os.pidfd_open(self._popen.pid)
            if not await _wait_exited(launcher):
                self._popen.kill()
                await _wait_exited(launcher)
            os.close(launcher)
        self._popen.poll()
        self._info.close()
        os.close(self._stderr)
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        if self._cgroup is not None:
            self._cgroup.remove()


async def _wait_exited(pidfd: int) -> bool:
    """Wait for the process to exit, at most ten seconds; return whether it did."""
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
