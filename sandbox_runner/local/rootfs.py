"""What bubblewrap and namespaces show of this machine: libraries, Python, Node.js, the toolbox; read-only."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from contracts.base.languages import LANGUAGES, PYTHON
from sandbox_runner.engine.payload import WORK
from sandbox_runner.local.toolbox import interpreter

TOOLBOX = "/opt/toolbox"
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
    """A root file system in parts, all paths absolute.

    folders: empty ones. links: (target, path). binds: (path here, path there). hidden: covered by nothing.
    """

    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    binds: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]

    def is_complete(self) -> bool:
        """Whether all that it is made of is still there."""
        return all(os.path.exists(source) for source, _ in self.binds)


def plan_root(toolbox: Path) -> Root:
    """The root for programs that use the toolbox."""
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
    """What runs other languages, where it is one file somewhere else than below /usr."""
    others = [language.program for language in LANGUAGES if language is not PYTHON]
    found = [(name, shutil.which(name)) for name in others]
    places = [(name, str(Path(path).resolve())) for name, path in found if path]
    return [(place, f"{_PROGRAMS}/{name}") for name, place in places if not place.startswith("/usr/")]


def _other_packages(home: Path) -> tuple[str, ...]:
    """Folders with packages that happen to be installed for the base Python or the system's."""
    base = {"base": str(home), "platbase": str(home)}
    folders = {sysconfig.get_path(name, vars=base) for name in ("purelib", "platlib")}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders |= {"/usr/lib/python3/dist-packages", f"/usr/local/lib/{version}/dist-packages"}
    return tuple(sorted(folder for folder in folders if os.path.isdir(folder)))
