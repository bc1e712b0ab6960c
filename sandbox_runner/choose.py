"""Chooses the strongest sandbox that this machine offers."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from contracts.base.errors import MultiAgentError, NotConfigured, SandboxUnavailable
from contracts.base.processes.command_lines import Advice, command_line
from contracts.base.processes.shortage import shortage_as
from contracts.ports.sandbox import Isolation, Sandbox, SandboxLimits, SandboxRequest, SandboxResult, Verdict
from sandbox_runner.docker.address import socket_paths
from sandbox_runner.engine import seccomp
from sandbox_runner.engine.settings import BACKENDS, BackendStatus, SandboxSettings
from sandbox_runner.guest import landlock
from sandbox_runner.local import bubblewrap, namespaces
from sandbox_runner.local.checkers import checkers_in_words
from sandbox_runner.local.sandbox import LocalSandbox
from sandbox_runner.local.toolbox import ensure_toolbox
from sandbox_runner.probes.model import SandboxFacts
from sandbox_runner.probes.selftest import LastRun, SelfTestFailed, self_test
from sandbox_runner.workspace.opening import WorkspaceBackend

_log = structlog.get_logger(__name__)
_S = TypeVar("_S", bound=Sandbox)
_PROBE = SandboxRequest(argv=("python", "-c", ""), limits=SandboxLimits(wall_seconds=20, memory_mb=256))


async def choose_sandbox(settings: SandboxSettings) -> Backend:
    """Return the strongest backend that is ready, or the one that the settings name. The caller closes it.

    Does not install, start or build anything. Raises SandboxUnavailable, whose message says for each backend
    why it cannot be used and how to get it, and NotConfigured for an unknown name.
    """
    failures = []
    for name in _wanted(settings):
        try:
            sandbox, _ = await _tested(name, settings)
        except SandboxUnavailable as error:
            if isinstance(error, SelfTestFailed):
                _log.warning("sandbox_refused", backend=name, reason=str(error), advice=_advice(name, error))
            failures.append(f"  {name}: {error}\n    {_advice(name, error)}")
        else:
            # Not before the self-test, which needs no waiting sandboxes.
            sandbox.keep_warm(settings.warm)
            return sandbox
    raise SandboxUnavailable("no sandbox is available, and nothing runs without one:\n" + "\n".join(failures))


class FirstUseSandbox(Generic[_S]):
    """The strongest backend, chosen when the first program must run: many agents never need one."""

    def __init__(self, choose: Callable[[], Awaitable[_S]]) -> None:
        self._choose = choose
        self._choosing = asyncio.Lock()
        self._chosen: _S | None = None
        self._early: asyncio.Task[None] | None = None

    @property
    def backend(self) -> str:
        """The chosen backend's name; empty before the first use."""
        return self._chosen.backend if self._chosen else ""

    @property
    def isolation(self) -> Isolation:
        """The chosen backend's level; the weakest before the first use."""
        return self._chosen.isolation if self._chosen else Isolation.SYSCALLS

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """See contracts.ports.Sandbox."""
        return await (await self.chosen()).run(request)

    async def chosen(self) -> _S:
        """The backend, chosen now if it was not. Raises as what chooses it."""
        async with self._choosing:
            if self._chosen is None:
                with shortage_as(SandboxUnavailable):
                    self._chosen = await self._choose()
        return self._chosen

    def begin(self) -> None:
        """Choose beside what comes before the first program, which would wait for it.

        What goes wrong is said when that runs.
        """
        self._early = asyncio.create_task(self._chosen_early())

    async def _chosen_early(self) -> None:
        with contextlib.suppress(MultiAgentError):
            await self.chosen()

    async def close(self) -> None:
        """Close what was chosen."""
        if self._early is not None:
            self._early.cancel()
            await asyncio.wait({self._early})
        if self._chosen is not None:
            await self._chosen.close()


async def survey(settings: SandboxSettings) -> list[BackendStatus]:
    """Try every backend, strongest first, whichever one the settings name."""
    return [await _status(name, settings) for name in BACKENDS]


async def survey_until_ready(settings: SandboxSettings) -> list[BackendStatus]:
    """Try what the settings name, strongest first, as far as the one that will be used.

    Raises NotConfigured for an unknown name.
    """
    found = []
    for name in _wanted(settings):
        found.append(await _status(name, settings))
        if found[-1].ready:
            break
    return found


async def open_untested(name: str, settings: SandboxSettings) -> Opened:
    """Open a backend without a self-test. The caller closes it. Raises SandboxUnavailable, NotConfigured."""
    return await _BACKENDS[name].open(settings)


async def _tested(name: str, settings: SandboxSettings) -> tuple[Backend, str]:
    opened = await open_untested(name, settings)
    try:
        await self_test(opened.sandbox, opened.facts, opened.identity, settings.selftests)
    except BaseException:
        await opened.sandbox.close()
        raise
    return opened.sandbox, opened.remark


async def _status(name: str, settings: SandboxSettings) -> BackendStatus:
    isolation = _BACKENDS[name].isolation
    try:
        sandbox, remark = await _tested(name, settings)
    except (SandboxUnavailable, NotConfigured) as error:
        return BackendStatus(name, False, isolation, str(error), _advice(name, error))
    await sandbox.close()
    return BackendStatus(name, True, isolation, remark, str(_BACKENDS[name].how_to_get))


def _advice(name: str, error: Exception) -> str:
    if not isinstance(error, SelfTestFailed):
        return str(_BACKENDS[name].how_to_get)
    return (
        f"`{command_line('sandbox', 'test', '--backend', name)}` shows every difference;"
        " update the kernel, the engine or the launcher, or choose another backend"
    )


def _wanted(settings: SandboxSettings) -> tuple[str, ...]:
    if settings.backend == "auto":
        return BACKENDS
    if settings.backend not in BACKENDS:
        known = ", ".join(("auto", *BACKENDS))
        raise NotConfigured(f"sandbox backend {settings.backend!r}: must be one of {known}")
    return (settings.backend,)


async def _open_docker(settings: SandboxSettings) -> Opened:
    socket_paths(settings.docker_host)
    from sandbox_runner.docker.sandbox import DockerSandbox  # noqa: PLC0415 - the SDK is slow to import

    sandbox = await DockerSandbox.open(settings)
    try:
        identity = await asyncio.to_thread(sandbox.identity)
    except BaseException:
        await sandbox.close()
        raise
    remark = f"image {settings.image}, runtime {settings.runtime or 'of the engine'}"
    return Opened(sandbox, remark, identity, SandboxFacts())


async def _open_bubblewrap(settings: SandboxSettings) -> Opened:
    program = bubblewrap.find()
    if program is None:
        raise SandboxUnavailable("bwrap is not on PATH")
    return await _probed(lambda: bubblewrap.make(settings, program), settings, bubblewrap.identity(program))


async def _open_namespaces(settings: SandboxSettings) -> Opened:
    return await _probed(lambda: namespaces.make(settings), settings, ())


async def _probed(
    make: Callable[[], LocalSandbox], settings: SandboxSettings, launcher: tuple[str, ...]
) -> Opened:
    """Run a program in the backend, because only that shows whether kernel and security policy allow it.

    One that ran a moment ago, started by whichever process, need not show it again.
    """
    if not seccomp.supported():
        raise SandboxUnavailable("only x86_64 and aarch64 are supported")
    sandbox = make()
    toolbox = await asyncio.to_thread(ensure_toolbox, settings.toolbox)
    identity = (toolbox.name, *launcher, sandbox.limits_in_words)
    last_run = LastRun(settings.selftests, sandbox.backend, identity)
    if not last_run.is_recent:
        result = await sandbox.run(_PROBE)
        if result.verdict is not Verdict.OK:
            complaint = result.stderr.decode("utf-8", "replace").strip()
            raise SandboxUnavailable(f"its Python does not run: {result.verdict}, {complaint[:500]}")
        last_run.note()
    version = landlock.abi()
    remark = "; ".join(
        [
            sandbox.limits_in_words,
            f"Landlock ABI {version}" if version else "no Landlock in this kernel",
            checkers_in_words(),
        ]
    )
    facts = SandboxFacts(version, sandbox.counts_processes, started_by_root=os.geteuid() == 0)
    return Opened(sandbox, remark, identity, facts)


class Backend(Sandbox, WorkspaceBackend, Protocol):
    """A sandbox that runs on this machine, and has workspaces."""

    def keep_warm(self, size: int) -> None:
        """Keep up to `size` started sandboxes waiting from now on, for each of the limits used last."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A backend that runs programs."""

    sandbox: Backend

    remark: str
    """What it works with, for people."""

    identity: tuple[str, ...]
    """The versions of its parts. A self-test is valid for these."""

    facts: SandboxFacts
    """What the self-test may expect of it."""


@dataclass(frozen=True, slots=True)
class _Backend:
    open: Callable[[SandboxSettings], Awaitable[Opened]]
    isolation: Isolation
    how_to_get: str | Advice


_BACKENDS = {
    "docker": _Backend(
        _open_docker,
        Isolation.CONTAINER,
        Advice("install Docker Engine, start it, then build the image once", ("sandbox", "build")),
    ),
    "bubblewrap": _Backend(_open_bubblewrap, Isolation.NAMESPACES, bubblewrap.HOW_TO_GET),
    "namespaces": _Backend(_open_namespaces, Isolation.NAMESPACES, namespaces.HOW_TO_GET),
}
