"""Plans the root file system of a local sandbox: this machine's libraries, Python, Node.js, the toolbox.

All of it is read-only.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from contracts.base.languages import LANGUAGES, PYTHON
from sandbox_runner.engine.payload import TOOLBOX, WORK
from sandbox_runner.local.toolbox import interpreter

_PROGRAMS = "/opt/programs"
ENVIRONMENT = {
    "PATH": f"{TOOLBOX}/bin:/usr/local/bin:/usr/bin:/bin:{_PROGRAMS}",
    "PYTHONPATH": f"{TOOLBOX}/lib",
}
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LOADER = ("/etc/ld.so.cache", "/etc/alternatives")
_ETC = ("passwd", "group", "hosts", "nsswitch.conf")


@dataclass(frozen=True, slots=True)
class Root:
    """The parts of a root file system. All paths are absolute."""

    folders: tuple[str, ...]
    """Empty folders."""

    links: tuple[tuple[str, str], ...]
    """Symbolic links as (target, path)."""

    binds: tuple[tuple[str, str], ...]
    """Bind mounts as (path on this machine, path in the sandbox)."""

    hidden: tuple[str, ...]
    """Folders over which an empty file system is mounted."""

    workspace: bool = False
    """Whether process 1 serves a workspace, for which it mounts more."""

    def is_complete(self) -> bool:
        """Tell whether the sources of all bind mounts exist."""
        return all(os.path.exists(source) for source, _ in self.binds)


def plan_root(toolbox: Path) -> Root:
    """Plan the root for programs that use the toolbox."""
    links, binds = [], [("/usr", "/usr")]
    for name in _SYSTEM:
        path = f"/{name}"
        if os.path.islink(path):
            links.append((os.readlink(path), path))
        elif os.path.isdir(path):
            binds.append((path, path))
    binds += [(path, path) for path in _LOADER if os.path.exists(path)]
    binds += [(str(toolbox / "etc" / name), f"/etc/{name}") for name in _ETC]
    home = interpreter().parent.parent
    if not home.is_relative_to("/usr"):
        binds.append((str(home), str(home)))
    if sys.base_prefix != str(home) and not sys.base_prefix.startswith("/usr/"):
        binds.append((str(home), sys.base_prefix))
    binds.append((str(toolbox), TOOLBOX))
    binds += _programs()
    return Root((WORK, "/tmp"), tuple(links), tuple(binds), _other_packages(home))  # noqa: S108 - inside


def _programs() -> list[tuple[str, str]]:
    """Return the bind mounts of other languages' programs that lie outside of /usr as a single file."""
    others = [language.program for language in LANGUAGES if language is not PYTHON]
    found = [(name, shutil.which(name)) for name in others]
    places = [(name, str(Path(path).resolve())) for name, path in found if path]
    return [(place, f"{_PROGRAMS}/{name}") for name, place in places if not place.startswith("/usr/")]


def _other_packages(home: Path) -> tuple[str, ...]:
    """Return the folders of packages installed for the base Python or the system's Python."""
    base = {"base": str(home), "platbase": str(home)}
    folders = {sysconfig.get_path(name, vars=base) for name in ("purelib", "platlib")}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders |= {"/usr/lib/python3/dist-packages", f"/usr/local/lib/{version}/dist-packages"}
    return tuple(sorted(folder for folder in folders if os.path.isdir(folder)))
