"""Where an environment lies in a sandbox, and the variables that lead to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sandbox_runner.engine.payload import TOOLBOX, WORK
from sandbox_runner.local.rootfs import ENVIRONMENT as LOCAL

HOME: Final = "/opt/environment"
LINK: Final = "python"
"""In HOME: where an environment is built, a link to a folder that is writable."""
VENV: Final = f"{HOME}/{LINK}/venv"
SCRIPTS: Final = f"{HOME}/bin"
"""Console scripts of a user's virtual environment, which name their interpreter where it is here."""
NODE_MODULES: Final = "/node_modules"
"""Node.js looks in every folder above a file, so modules are found from wherever the tree lies."""
PROGRAMS: Final = ((f"{VENV}/bin/python", "-c", "import zlib"),)
"""A virtual environment's programs of this machine, and what shows that they run."""
UNMOUNTABLE: Final = ("/work", "/tmp", "/mnt", "/proc", "/dev", "/sys")  # noqa: S108 - inside


def variables(
    *,
    python: bool = False,
    scripts: bool = False,
    has_pytest: bool = False,
    import_from: Iterable[str] = (),
    modules: bool = False,
) -> Mapping[str, str]:
    """Variables that lead to what there is.

    python: a virtual environment. scripts: its scripts lie in SCRIPTS.
    has_pytest: it has a pytest of its own; else the sandbox's is found.
    import_from: folders of the tree, relative to its root, that are imported from before all others.
    modules: those of Node.js.
    """
    programs = [*([SCRIPTS] if scripts else []), *([f"{VENV}/bin"] if python else [])]
    programs += [f"{NODE_MODULES}/.bin"] if modules else []
    found = {"PATH": ":".join([*programs, LOCAL["PATH"]])}
    if python:
        folders = [f"{WORK}/{folder}".rstrip("/") for folder in import_from]
        # Where there is a pytest, the toolbox would hide what it needs.
        folders += [] if has_pytest else [f"{TOOLBOX}/lib"]
        found |= {"VIRTUAL_ENV": VENV, "PYTHONPATH": ":".join(folders)}
    return MappingProxyType(found)


def is_mountable(path: Path) -> bool:
    """Tell whether a folder can be seen in a sandbox under its own path."""
    return not any(path == Path(own) or path.is_relative_to(own) for own in UNMOUNTABLE)
