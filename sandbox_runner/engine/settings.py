"""The settings of sandboxes, and the state of a backend as it is reported."""

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
    """How sandboxes are made."""

    backend: str = "auto"
    """One of BACKENDS, or "auto" for the strongest backend that is ready."""

    docker_host: str | None = None
    """`unix://` address of the Docker Engine; None for the usual places."""

    image: str = field(default_factory=_default_image)
    """Name of the container image."""

    runtime: str | None = None
    """An OCI runtime that the engine knows, such as "runsc"; None for the engine's default."""

    toolbox: Path = field(default_factory=_default_toolbox)
    """Folder that keeps the pytest for bubblewrap and namespaces."""

    max_concurrent: int = 4
    """Executions at one time. Further ones wait."""

    selftests: Path = field(default_factory=_default_selftests)
    """Folder that records which backends passed their self-test."""

    warm: int = 0
    """Started sandboxes that wait for a job, for each of the limits used last.

    A sandbox object that keeps any belongs to one event loop and must be closed there.
    """


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One line of `doctor`."""

    name: str
    ready: bool
    isolation: Isolation
    reason: str
    """Why it is not ready, or, when it is ready, what it works with."""

    how_to_get: str
    """What to install or to change."""
