"""The same environment without a sandbox: programs of this machine, for which folders are mounted elsewhere.

Needs root, and unshare, nsenter and setpriv of util-linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from contracts.ports.sandbox import Verdict
from contracts.ports.workspace import CommandLimits, Environment, ExecResult, Service
from sandbox_runner.engine.payload import ENVIRONMENT, UNPRIVILEGED, WORK
from sandbox_runner.workspace.beside import FOLDER

_READY_SECONDS = 60.0
_STAGE = "/mnt"
_HIDDEN = ("/opt", "/root", "/tmp")
_PIPE = asyncio.subprocess.PIPE


class Outside:
    """What of a workspace a run of tests needs: commands, in the namespaces of a process that holds them."""

    def __init__(self, holder: int, variables: Mapping[str, str]) -> None:
        self._holder = holder
        self._variables = [f"{name}={value}" for name, value in variables.items()]

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The words that run a command there, as the user that sandboxes run programs as."""
        where = (f"--target={self._holder}", "--mount", "--net", "--ipc")
        user = (f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups")
        return ["nsenter", *where, "setpriv", *user, "env", "-C", WORK, "-i", *self._variables, *argv]

    async def exec(
        self, number: int, argv: Sequence[str], *, stdin: bytes = b"", limits: CommandLimits | None = None
    ) -> ExecResult:
        """See Workspace."""
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *self.argv(argv), stdin=_PIPE, stdout=_PIPE, stderr=_PIPE, start_new_session=True
        )
        verdict, out, err = Verdict.TIMEOUT, b"", b""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.wall_seconds if limits else None):
                    out, err = await process.communicate(stdin)
                verdict = Verdict.FAILED if process.returncode else Verdict.OK
        finally:
            await _end(process)
        code = None if verdict is Verdict.TIMEOUT else process.returncode
        return ExecResult(number, verdict, code, out, err, time.monotonic() - began)


@asynccontextmanager
async def outside(
    tree: Path, environment: Environment, toolbox: Path, folder: Path
) -> AsyncIterator[Outside]:
    """A tree with an environment where a sandbox has them, and with its services."""
    _complete(tree, environment)
    (folder / "tmp").mkdir(mode=0o777)
    (folder / "tmp").chmod(0o1777)
    mounts = {
        **environment.mounts,
        WORK: str(tree),
        "/opt/toolbox": str(toolbox),
        "/tmp": str(folder / "tmp"),
    }
    kinds = ("--mount", "--ipc", *(("--net",) if environment.services else ()))
    async with AsyncExitStack() as stack:
        script = "\n".join(_script(mounts))
        holder = await asyncio.create_subprocess_exec("unshare", *kinds, "sh", "-ec", script, stdout=_PIPE)
        stack.push_async_callback(_end, holder)
        await _said(holder, "ready")
        found = Outside(holder.pid, {**ENVIRONMENT, **environment.variables})
        for service in environment.services:
            stack.push_async_callback(_end, await _serve(found, service))
        yield found


def _complete(tree: Path, environment: Environment) -> None:
    """Lay what lies beside the tree into it, and give all to the user that programs run as."""
    if environment.beside:
        _lay(Path(environment.beside), tree)
    for here, folders, names in os.walk(tree):
        for name in (".", *folders, *names):
            os.chown(os.path.join(here, name), UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)


def _lay(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _lay(entry, target / entry.name)
        elif not os.path.lexists(target / entry.name):
            shutil.copy2(entry, target / entry.name, follow_symlinks=False)


def _script(mounts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines that mount, for nobody else; what is hidden is put aside first."""
    yield "mount --make-rprivate /"
    yield f"mount -t tmpfs -o mode=755 tmpfs {_STAGE}"
    for number, source in enumerate(mounts.values()):
        yield f"mkdir {_STAGE}/{number}; mount --rbind {shlex.quote(source)} {_STAGE}/{number}"
    for folder in _HIDDEN:
        yield f"mount -t tmpfs -o mode=755 tmpfs {folder}"
    for number, target in enumerate(map(shlex.quote, mounts)):
        yield f"mkdir -p {target}; mount --rbind {_STAGE}/{number} {target}"
    yield "ip link set lo up; echo ready; exec sleep 10000"


async def _serve(found: Outside, service: Service) -> asyncio.subprocess.Process:
    await found.exec(0, ("mkdir", "-p", f"{FOLDER}/{service.name}"))
    process = await asyncio.create_subprocess_exec(
        *found.argv(service.argv), stdout=_PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    await _said(process, service.ready)
    return process


async def _said(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(_READY_SECONDS):
        while line := await process.stdout.readline():
            if text in line.decode("utf-8", "replace"):
                return
    raise RuntimeError(f"it did not say {text!r}")


async def _end(process: asyncio.subprocess.Process) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(process.pid, signal.SIGKILL)
    await process.wait()
