"""Makes the toolbox: pytest, coverage and checkers in a folder, for sandboxes with this machine's Python.

Layout of a toolbox: `lib/` for PYTHONPATH, `bin/` with `python`, `pytest` and the checkers that are installed
here, `checks/` with their packages, which other programs do not see, `etc/` with the few files that programs
expect there.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from contracts.base.errors import SandboxUnavailable
from sandbox_runner.engine.payload import TOOLBOX
from sandbox_runner.local.checkers import add_checkers, checkers_here, files_of

_ROOTS = ("pytest", "coverage")
_LAYOUT = 2
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_PYTEST = '#!/bin/sh\nexec python -m pytest "$@"\n'
_ETC = {
    "passwd": "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "nogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def interpreter() -> Path:
    """Return the Python for programs: the base Python of this virtual environment."""
    base = Path(sys.base_prefix).resolve()
    return base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def ensure_toolbox(folder: Path) -> Path:
    """Return the toolbox below `folder` for the installed versions; make it if it is missing. Blocking.

    A new toolbox is made under another name and then renamed, so that nobody sees an unfinished one.
    Raises SandboxUnavailable.
    """
    try:
        distributions = _with_dependencies(_ROOTS)
        checkers = _with_dependencies(tuple(checkers_here()))
        place = folder / _fingerprint([*distributions, *checkers])
        if not place.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            own = {dist.name for dist in distributions}
            _make(folder, place, distributions, [dist for dist in checkers if dist.name not in own])
    except (OSError, metadata.PackageNotFoundError) as error:
        raise SandboxUnavailable(f"the sandbox's toolbox cannot be made in {folder}: {error}") from None
    return place.resolve()


def _with_dependencies(names: tuple[str, ...]) -> list[metadata.Distribution]:
    """Return the distributions and what they require.

    A requirement that is not installed is for other platforms and is left out.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, True) for name in names]
    while waiting:
        name, required = waiting.pop()
        key = name.lower().replace("_", "-")
        if key in found:
            continue
        try:
            found[key] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if required:
                raise
            continue
        for requirement in found[key].requires or []:
            match = _NAME.match(requirement)
            if match and "extra ==" not in requirement:
                waiting.append((match.group(), False))
    return [found[key] for key in sorted(found)]


def _fingerprint(distributions: list[metadata.Distribution]) -> str:
    parts = [str(_LAYOUT), sys.version, str(interpreter())]
    parts += [f"{dist.metadata['Name']}={dist.version}" for dist in distributions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _make(
    folder: Path,
    place: Path,
    distributions: list[metadata.Distribution],
    checkers: list[metadata.Distribution],
) -> None:
    """Make a toolbox below `folder`, then rename it to `place`. `checkers`: with what they alone require."""
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    try:
        for name in ("lib", "bin", "etc"):
            (unfinished / name).mkdir()
        for dist in distributions:
            _copy(dist, unfinished / "lib")
        compileall.compile_dir(unfinished / "lib", quiet=2, stripdir=str(unfinished), prependdir=TOOLBOX)
        for name, text in _ETC.items():
            (unfinished / "etc" / name).write_text(text, encoding="utf-8")
        for name in ("python", "python3"):
            (unfinished / "bin" / name).symlink_to(interpreter())
        (unfinished / "bin" / "pytest").write_text(_PYTEST, encoding="utf-8")
        _open_to_all(unfinished)
        add_checkers(unfinished, checkers)
        unfinished.rename(place)
    except OSError:
        if not place.is_dir():  # else another process has made it
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _open_to_all(folder: Path) -> None:
    """Make all files readable for every user, because the program in the sandbox is not their owner."""
    for here, _, names in os.walk(folder):
        Path(here).chmod(0o755)
        for name in names:
            path = Path(here, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.parent == folder / "bin" else 0o644)


def _copy(dist: metadata.Distribution, target: Path) -> None:
    """Copy the files of a distribution that lie in its site-packages."""
    for file, source in files_of(dist):
        if source.suffix == ".pyc":
            continue
        copy = target / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
