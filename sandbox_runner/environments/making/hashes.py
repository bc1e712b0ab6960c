"""Which files are those that lines with hashes ask for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.needs.requirement_lines import requirement_of
from sandbox_runner.environments.steps import FOLDER_HELPS


def names(line: str, name: str) -> bool:
    """Tell whether a line asks for the package that another requirement names."""
    return canonicalize_name(requirement_of(line).name) == canonicalize_name(re.split(r"[^\w.-]", name)[0])


def sha256(file: Path) -> str:
    """Its 64 hex digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_source(file: Path, lines: Sequence[str]) -> None:
    """Check that a source is one that a line with hashes asks for. Raises EnvironmentFailed."""
    name = file.name.rpartition("-")[0]
    for line in lines:
        if "--hash=" in line and names(line, name) and _hash(file) not in line:
            raise EnvironmentFailed(
                f"environment, step fetch: {file.name} has another content than its lock says; "
                f"lock it again, {FOLDER_HELPS}"
            )


def with_made(lines: Sequence[str], wheels: Path) -> list[str]:
    """The lines, where those of packages whose wheel was built into a folder have its hash too."""
    made = [(_package(path), _hash(path)) for path in wheels.glob("*.whl")]
    return [" ".join([line, *(own for name, own in made if names(line, name))]) for line in lines]


def drop_others(folder: Path, pinned: Sequence[str]) -> None:
    """Drop the wheels of pinned packages that their lines do not have; an index may have more of it."""
    by_name = {canonicalize_name(requirement_of(line).name): line for line in pinned}
    for wheel in folder.glob("*.whl"):
        line = by_name.get(canonicalize_name(_package(wheel)))
        if line is not None and _hash(wheel) not in line:
            wheel.unlink()


def _package(wheel: Path) -> str:
    return wheel.name.partition("-")[0]


def _hash(file: Path) -> str:
    return f"--hash=sha256:{sha256(file)}"
