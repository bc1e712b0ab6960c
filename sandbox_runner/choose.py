"""Which sandbox this machine can give, strongest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contracts.errors import NotConfigured, SandboxUnavailable
from contracts.ports import Isolation, Sandbox, SandboxLimits, SandboxRequest, Verdict
from sandbox_runner import bubblewrap, namespaces, seccomp
from sandbox_runner.local import LocalSandbox
from sandbox_runner.settings import BACKENDS, BackendStatus, SandboxSettings

_PROBE = SandboxRequest(argv=("python", "-c", ""), limits=SandboxLimits(wall_seconds=20, memory_mb=256))


async def choose_sandbox(settings: SandboxSettings) -> Sandbox:
    """The strongest backend that is ready now, or the one that the settings name. The caller closes it.

    Nothing is installed, started or built for it. Raises SandboxUnavailable that says for each backend why
    it cannot be used and how to get it; NotConfigured for an unknown name.
    """
    failures = []
    for name in _wanted(settings):
        backend = _BACKENDS[name]
        try:
            sandbox, _ = await backend.open(settings)
        except SandboxUnavailable as error:
            failures.append(f"  {name}: {error}\n    {backend.how_to_get}")
        else:
            return sandbox
    raise SandboxUnavailable("no sandbox can be had, and nothing runs without one:\n" + "\n".join(failures))


async def survey(settings: SandboxSettings) -> list[BackendStatus]:
    """Try every backend, strongest first, whatever the settings prefer."""
    return [await _status(name, settings) for name in BACKENDS]


async def _status(name: str, settings: SandboxSettings) -> BackendStatus:
    backend = _BACKENDS[name]
    try:
        sandbox, remark = await backend.open(settings)
    except (SandboxUnavailable, NotConfigured) as error:
        return BackendStatus(name, False, backend.isolation, str(error), backend.how_to_get)
    await sandbox.close()
    return BackendStatus(name, True, backend.isolation, remark, backend.how_to_get)


def _wanted(settings: SandboxSettings) -> tuple[str, ...]:
    if settings.backend == "auto":
        return BACKENDS
    if settings.backend not in BACKENDS:
        known = ", ".join(("auto", *BACKENDS))
        raise NotConfigured(f"sandbox backend {settings.backend!r}: must be one of {known}")
    return (settings.backend,)


async def _open_docker(settings: SandboxSettings) -> tuple[Sandbox, str]:
    from sandbox_runner.docker_engine import DockerSandbox  # noqa: PLC0415 - the SDK is slow to import

    sandbox = await DockerSandbox.open(settings)
    return sandbox, f"image {settings.image}, runtime {settings.runtime or 'of the engine'}"


async def _open_bubblewrap(settings: SandboxSettings) -> tuple[Sandbox, str]:
    program = bubblewrap.find()
    if program is None:
        raise SandboxUnavailable("bwrap is not on PATH")
    return await _probed(lambda: bubblewrap.make(settings, program))


async def _open_namespaces(settings: SandboxSettings) -> tuple[Sandbox, str]:
    return await _probed(lambda: namespaces.make(settings))


async def _probed(make: Callable[[], LocalSandbox]) -> tuple[Sandbox, str]:
    """Only a run shows whether kernel and security policy let it."""
    if not seccomp.supported():
        raise SandboxUnavailable("only x86_64 and aarch64 are supported")
    sandbox = make()
    result = await sandbox.run(_PROBE)
    if result.verdict is not Verdict.OK:
        complaint = result.stderr.decode("utf-8", "replace").strip()
        raise SandboxUnavailable(f"its Python does not run: {result.verdict}, {complaint[:500]}")
    return sandbox, sandbox.limits_in_words


@dataclass(frozen=True, slots=True)
class _Backend:
    open: Callable[[SandboxSettings], Awaitable[tuple[Sandbox, str]]]
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
