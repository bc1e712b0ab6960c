"""What a caller may choose, and how the choice of a backend is reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from contracts.ports.sandbox import Isolation

BACKENDS = ("docker", "bubblewrap", "namespaces")


def _default_image() -> str:
    try:
        version = metadata.version("multi-agent")
    except metadata.PackageNotFoundError:
        version = "dev"
    return f"multi-agent-sandbox:{version}"


def _default_toolbox() -> Path:
    return Path.home() / ".cache" / "multi-agent" / "toolbox"


def _default_selftests() -> Path:
    return Path.home() / ".cache" / "multi-agent" / "selftests"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How sandboxes are made.

    backend: "auto" (strongest that is ready) or one of BACKENDS. docker_host: `unix://` address of the
    engine, None for the usual places. image: name of the container image. runtime: an OCI runtime known to
    the engine, such as "runsc"; None for its default. toolbox: folder that the pytest for bubblewrap and
    namespaces is kept in. max_concurrent: executions at one time; more wait. selftests: folder that remembers
    which backends passed their self-test. warm: started sandboxes that wait for a job, for each of the limits
    used last; an object with them belongs to one event loop and must be closed there.
    """

    backend: str = "auto"
    docker_host: str | None = None
    image: str = field(default_factory=_default_image)
    runtime: str | None = None
    toolbox: Path = field(default_factory=_default_toolbox)
    max_concurrent: int = 4
    selftests: Path = field(default_factory=_default_selftests)
    warm: int = 0


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One line of `doctor`: `reason` says why it is not ready, or with which limits it works."""

    name: str
    ready: bool
    isolation: Isolation
    reason: str
    how_to_get: str
