"""Puts the checkers that are installed here into a toolbox, apart from what programs see."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from contracts.base.languages import CHECKERS
from sandbox_runner.engine.payload import TOOLBOX

_FOLDER = "checks"
_PROGRAM = f"""\
#!/bin/sh
PYTHONPATH={TOOLBOX}/{_FOLDER}:{TOOLBOX}/lib${{PYTHONPATH:+:$PYTHONPATH}} \\
  exec {TOOLBOX}/bin/python -P -m %s "$@"
"""
_MODULES = {"mypy": 'mypy ${VIRTUAL_ENV:+--python-executable "$VIRTUAL_ENV/bin/python"}'}
"""What is run of a checker if not its module alone: the packages of an environment are read by one."""
_SCRIPT = b"#!"
_READABLE = stat.S_IROTH
_EXECUTABLE = 0o755


def checkers_here() -> dict[str, str]:
    """Return the checkers that are installed here, and so are in a toolbox: name -> version."""
    found: dict[str, str] = {}
    for name in CHECKERS:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def checkers_in_words() -> str:
    """Say which checkers programs find, for `doctor`."""
    here = checkers_here()
    absent = [name for name in CHECKERS if name not in here]
    shown = ", ".join(f"{name} {version}" for name, version in here.items())
    if not absent:
        return f"checkers: {shown}"
    return f"checkers: {shown or 'none'} (pip install 'multi-agent[checks]' for {', '.join(absent)})"


def files_of(dist: metadata.Distribution) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a distribution in its site-packages: the path there, and where each is."""
    for file in dist.files or []:
        source = Path(os.fspath(file.locate()))
        if ".." not in file.parts and not file.is_absolute() and source.is_file():
            yield Path(*file.parts), source


def add_checkers(place: Path, distributions: Sequence[metadata.Distribution]) -> None:
    """Put distributions into a toolbox, and a program for each checker among them.

    They are a hundred megabytes in thousands of files, so these are linked where that can be, and come with
    what was compiled of them when they were installed.
    """
    for dist in distributions:
        for file, source in files_of(dist):
            _link(source, place / _FOLDER / file)
        if (name := dist.name.lower()) in CHECKERS:
            _add_program(dist, name, place / "bin" / name)


def _add_program(dist: metadata.Distribution, name: str, target: Path) -> None:
    """Add a checker's program: its own where that is no script, which would name an interpreter of here."""
    for file in dist.files or []:
        source = Path(os.fspath(file.locate()))
        if file.parts[-2:] == ("bin", name) and source.is_file() and not _is_script(source):
            _link(source, target)
            return
    target.write_text(_PROGRAM % _MODULES.get(name, name), encoding="utf-8")
    target.chmod(_EXECUTABLE)


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SCRIPT)) == _SCRIPT


def _link(source: Path, target: Path) -> None:
    """Link a file if every user may read it, as the program in a sandbox is not its owner; else copy it."""
    for folder in (*reversed(target.parent.parents), target.parent):
        if not folder.is_dir():
            folder.mkdir()
            folder.chmod(0o755)
    if source.stat().st_mode & _READABLE:
        with suppress(OSError):  # of another file system, or not ours
            target.hardlink_to(source)
            return
    shutil.copy2(source, target)
    target.chmod(_EXECUTABLE if os.access(source, os.X_OK) else 0o644)
