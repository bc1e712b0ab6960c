"""Chooses the interpreter for a repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.interpreters import Interpreter, ask_interpreter

_MINORS: Final = ("3.14", "3.13", "3.12", "3.11")
_SECONDS: Final = 20.0


class ChosenInterpreter(NamedTuple):
    """An interpreter, and why it is this one."""

    interpreter: Interpreter
    reason: str


def find_interpreters(own: Path, search_path: str) -> list[Interpreter]:
    """Those of this machine, our own first, then the newest; what uv and pyenv manage is among them."""
    found = {one.path: one for path in _programs(own, search_path) if (one := ask_interpreter(path))}
    return list(found.values())


def choose_interpreter(requires: str, preferred: str, known: Sequence[Interpreter]) -> ChosenInterpreter:
    """Choose one of those that are known, our own first among them.

    requires: the repository's `requires-python`. preferred: what its `.python-version` names.

    Raises InvalidInput when none fits.
    """
    try:
        wanted = SpecifierSet(requires)
    except InvalidSpecifier:
        raise InvalidInput(
            f"requires-python of the repository is {requires[:80]!r}: must be versions such as '>=3.11'"
        ) from None
    fitting = [one for one in known if wanted.contains(one.version, prereleases=True)]
    if not fitting:
        there = ", ".join(one.version for one in known) or "none"
        raise InvalidInput(
            f"the repository needs Python {requires}, and this machine has {there}; install one that fits "
            "(`uv python install`, or a package of the system), or name a folder of yours with --environment"
        )
    asked = f", as it requires {requires}" if requires else ""
    if version := re.search(r"\d+\.\d+(\.\d+)?", preferred):
        exact = [one for one in fitting if f"{one.version}.".startswith(f"{version[0]}.")]
        if exact:
            return ChosenInterpreter(exact[0], f"Python {exact[0].version}, which .python-version names")
        asked += f"; .python-version names {version[0]}, which is not there"
    if fitting[0] == known[0]:
        return ChosenInterpreter(fitting[0], f"Python {fitting[0].version}, which runs this program{asked}")
    return ChosenInterpreter(fitting[0], f"Python {fitting[0].version}, the newest that fits{asked}")


def _programs(own: Path, search_path: str) -> Iterator[Path]:
    yield own
    uv = shutil.which("uv", path=search_path)
    for minor in _MINORS:
        if program := shutil.which(f"python{minor}", path=search_path):
            yield from _kept_by_pyenv(Path(program))
            yield Path(program)
        if uv and (managed := _found_by_uv(uv, minor)):
            yield managed


def _kept_by_pyenv(program: Path) -> list[Path]:
    """Those of pyenv, newest first, that a program of its own stands for, which runs none by itself."""
    folder = program.parent
    if folder.name != "shims":
        return []
    found = folder.parent.glob(f"versions/{program.name.removeprefix('python')}.*/bin/{program.name}")
    return sorted(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parts[-3])], reverse=True)


def _found_by_uv(uv: str, minor: str) -> Path | None:
    words = [uv, "python", "find", "--no-project", "--offline", "--python-preference", "only-managed", minor]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(said.stdout.strip()) if said.returncode == 0 and said.stdout.strip() else None
