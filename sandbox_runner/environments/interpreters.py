"""Python interpreters of this machine, and how a sandbox sees one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.places import is_mountable

_ASK: Final = (
    "import sys, sysconfig, platform; "
    "print('%d.%d.%d' % sys.version_info[:3], sys.base_prefix, sysconfig.get_platform(), sep='\\n')"
)
_SECONDS: Final = 20.0


class Interpreter(NamedTuple):
    """A Python that is installed, outside of any virtual environment."""

    path: Path
    version: str
    """Such as `3.12.4`."""
    platform: str

    @property
    def minor(self) -> str:
        """Such as `3.12`."""
        return ".".join(self.version.split(".")[:2])


def ask_interpreter(path: Path) -> Interpreter | None:
    """Ask a Python what it is; None when it does not run. It imports nothing but its own library."""
    try:
        said = subprocess.run(
            [path, "-I", "-S", "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = said.stdout.splitlines()
    if said.returncode or len(lines) != 3:
        return None
    version, prefix, system = lines
    minor = version.rpartition(".")[0]
    own = Path(prefix) / "bin" / f"python{minor}"
    return Interpreter(own if own.exists() else path.resolve(), version, system)


def program_mounts(program: Path) -> Mapping[str, str]:
    """The mounts under which a sandbox finds the program that a path leads to, by every link on the way.

    Raises InvalidInput for a place that a sandbox has for itself.
    """
    mounts = {}
    for step in _links(program):
        prefix = step.parent.parent
        if prefix.is_relative_to("/usr") or prefix == Path("/"):
            continue
        if not is_mountable(prefix):
            raise InvalidInput(
                f"program {str(step)!r}: lies where sandboxes have a folder of their own; use one elsewhere"
            )
        mounts[str(prefix)] = os.path.realpath(prefix)
    return mounts


def _links(program: Path) -> Iterator[Path]:
    """Yield a path and what it leads to, link by link."""
    for _ in range(40):
        yield program
        if not program.is_symlink():
            return
        program = Path(os.path.normpath(program.parent / program.readlink()))
