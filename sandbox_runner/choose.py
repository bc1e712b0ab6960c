"""Which sandbox this machine can give, strongest first."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from contracts.base.errors import NotConfigured, SandboxUnavailable
from contracts.ports.sandbox import Isolation, Sandbox, SandboxLimits, SandboxRequest, Verdict
from sandbox_runner.engine import seccomp
from sandbox_runner.engine.settings import BACKENDS, BackendStatus, SandboxSettings
from sandbox_runner.guest import landlock
from sandbox_runner.local import bubblewrap, namespaces
from sandbox_runner.local.sandbox import LocalSandbox
from sandbox_runner.local.toolbox import ensure_toolbox
from sandbox_runner.probes.model import SandboxFacts
from sandbox_runner.probes.selftest import WallMissing, self_test

_log = structlog.get_logger(__name__)
_PROBE = SandboxRequest(argv=("python", "-c", ""), limits=SandboxLimits(wall_seconds=20, memory_mb=256))


async def choose_sandbox(settings: SandboxSettings) -> Sandbox:
    """The strongest backend that is ready now, or the one that the settings name. The caller closes it.

    Nothing is installed, started or built for it. Raises SandboxUnavailable that says for each backend why
    it cannot be used and how to get it; NotConfigured for an unknown name.
    """
    failures = []
    for name in _wanted(settings):
        try:
            sandbox, _ = await _tested(name, settings)
        except SandboxUnavailable as error:
            if isinstance(error, WallMissing):
                _log.warning("sandbox_refused", backend=name, reason=str(error), advice=_advice(name, error))
            failures.append(f"  {name}: {error}\n    {_advice(name, error)}")
        else:
            return sandbox
    raise SandboxUnavailable("no sandbox can be had, and nothing runs without one:\n" + "\n".join(failures))


async def survey(settings: SandboxSettings) -> list[BackendStatus]:
    """Try every backend, strongest first, whatever the settings prefer."""
    return [await _status(name, settings) for name in BACKENDS]


async def open_untested(name: str, settings: SandboxSettings) -> Opened:
    """A backend without its self-test; the caller closes it. Raises SandboxUnavailable."""
    return await _BACKENDS[name].open(settings)


async def _tested(name: str, settings: SandboxSettings) -> tuple[Sandbox, str]:
    opened = await open_untested(name, settings)
    try:
        await self_test(opened.sandbox, opened.facts, opened.identity, settings.selftests)
    except BaseException:
        await opened.sandbox.close()
        raise
    # Only now: neither the look at the walls nor a mere survey is worth a sandbox that waits.
    opened.sandbox.keep_warm(settings.warm)
    return opened.sandbox, opened.remark


async def _status(name: str, settings: SandboxSettings) -> BackendStatus:
    isolation = _BACKENDS[name].isolation
    try:
        sandbox, remark = await _tested(name, settings)
    except (SandboxUnavailable, NotConfigured) as error:
        return BackendStatus(name, False, isolation, str(error), _advice(name, error))
    await sandbox.close()
    return BackendStatus(name, True, isolation, remark, _BACKENDS[name].how_to_get)


def _advice(name: str, error: Exception) -> str:
    if not isinstance(error, WallMissing):
        return _BACKENDS[name].how_to_get
    return (
        f"multi-agent sandbox test --backend {name} shows all that differs;"
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
    """Only a run shows whether kernel and security policy let it."""
    if not seccomp.supported():
        raise SandboxUnavailable("only x86_64 and aarch64 are supported")
    sandbox = make()
    result = await sandbox.run(_PROBE)
    if result.verdict is not Verdict.OK:
        complaint = result.stderr.decode("utf-8", "replace").strip()
        raise SandboxUnavailable(f"its Python does not run: {result.verdict}, {complaint[:500]}")
    version = landlock.abi()
    remark = f"{sandbox.limits_in_words}; " + (
        f"Landlock ABI {version}" if version else "no Landlock in this kernel"
    )
    toolbox = await asyncio.to_thread(ensure_toolbox, settings.toolbox)
    identity = (toolbox.name, *launcher, sandbox.limits_in_words)
    facts = SandboxFacts(version, sandbox.counts_processes, started_by_root=os.geteuid() == 0)
    return Opened(sandbox, remark, identity, facts)


class Backend(Sandbox, Protocol):
    """A sandbox of this machine."""

    def keep_warm(self, size: int) -> None:
        """From now on let up to `size` started sandboxes wait for jobs of a kind that was asked for."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A backend that runs programs: a remark for people, what it is made of, what can be asked of it."""

    sandbox: Backend
    remark: str
    identity: tuple[str, ...]
    facts: SandboxFacts


@dataclass(frozen=True, slots=True)
class _Backend:
    open: Callable[[SandboxSettings], Awaitable[Opened]]
    isolation: Isolation
    how_to_get: str


_BACKENDS = {
    "docker": _Backend(
        _open_docker,
        Isolation.CONTAINER,
        "install Docker Engine, start it, then build the image once: multi-agent sandbox build",
    ),
    "bubblewrap": _Backend(_open_bubblewrap, Isolation.NAMESPACES, bubblewrap.HOW_TO_GET),
    "namespaces": _Backend(_open_namespaces, Isolation.NAMESPACES, namespaces.HOW_TO_GET),
}
