"""A service that can be there, and what is found of it on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from contracts.base.errors import InvalidInput
from contracts.ports.workspace import Service

_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class FoundService:
    """A service whose programs are on this machine."""

    service: Service
    version: str
    """Name and version, such as `redis 7.0.15`."""
    server: Path
    """Its program; others of it lie beside that."""
    variables: Mapping[str, str]
    """By which programs find the server."""
    mount: str = ""
    """Where its data from before the first start lies inside; "" where it needs none."""
    make: Callable[[Path], Awaitable[None]] | None = None
    """Makes that data in a folder."""
    mounts: Mapping[str, str] = field(default_factory=dict)


class FindService(Protocol):
    """Finds a service."""

    def __call__(self, search_path: str, seconds: float, /) -> FoundService:
        """Find it on this machine. Blocking. Raises InvalidInput where it is missing."""


def missing(name: str, looked: str, package: str) -> InvalidInput:
    """What is told of a service that is not there."""
    return InvalidInput(
        f"service {name}: is not on this machine: {looked}; install it (apt install {package}), or take it "
        "out of `services` in the repository's settings"
    )


def version_of(name: str, program: Path) -> str:
    """Ask a server for its version, the first word with a dot in it. Raises InvalidInput."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidInput(f"service {name}: {program} does not run: {error}") from None
    words = said.stdout.decode("utf-8", "replace").split()
    return next((word.removeprefix("v=") for word in words if "." in word), "")
