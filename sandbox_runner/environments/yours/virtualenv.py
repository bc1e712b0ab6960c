"""A virtual environment that a user has made: what it is, and whether a sandbox can use it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.interpreters import Interpreter, ask_interpreter, program_mounts
from sandbox_runner.environments.places import VENV

CONFIG: Final = "pyvenv.cfg"
_MOST_BYTES: Final = 1_000_000
_HEAD: Final = 4_096
_DISTRIBUTION = re.compile(r"^(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist|egg)-info$")


@dataclass(frozen=True, slots=True)
class VirtualEnvironment:
    """A virtual environment whose interpreter runs."""

    folder: Path
    python: Interpreter
    """The one that it was made from."""
    mounts: Mapping[str, str]
    """Under which a sandbox finds that one."""
    site_packages: Path
    system_packages: bool
    """Whether it also uses what is installed for the base Python, which sandboxes hide."""

    @property
    def distributions(self) -> dict[str, str]:
        """Name -> version of what is installed, by name."""
        found = filter(None, map(_DISTRIBUTION.match, sorted(os.listdir(self.site_packages))))
        return {match["name"].lower().replace("_", "-"): match["version"] for match in found}


def examine_virtualenv(folder: Path) -> VirtualEnvironment:
    """Examine a folder with a pyvenv.cfg. Raises InvalidInput with what is wrong and how to mend it."""
    again = f"make it again: python3 -m venv --clear {folder}"
    settings = _settings(folder / CONFIG)
    if not settings.get("home"):
        raise _unusable(folder, f"its {CONFIG} names no home; {again}")
    program = next((path for path in (folder / "bin" / name for name in ("python", "python3"))), None)
    if program is None or not os.path.lexists(program):
        raise _unusable(folder, f"has no bin/python; {again}")
    target = _base_program(program, Path(settings["home"]))
    if not target.exists():
        raise _unusable(folder, f"its interpreter {str(target)!r} is missing; {again}")
    python = ask_interpreter(target)
    if python is None:
        raise _unusable(folder, f"its interpreter {str(target)!r} does not run; {again}")
    site_packages = folder / "lib" / f"python{python.minor}" / "site-packages"
    if not site_packages.is_dir():
        made = sorted(path.parent.name for path in folder.glob("lib/python3*/site-packages"))
        has = f"has packages for {', '.join(made)}" if made else "has no packages"
        raise _unusable(folder, f"{has}, and its interpreter is Python {python.version} now; {again}")
    if not os.stat(site_packages).st_mode & 0o005 and os.geteuid() == 0:
        raise _unusable(folder, f"programs in a sandbox may not read it; chmod -R o+rX {folder}")
    mounts = {**program_mounts(target), **program_mounts(Path(settings["home"]) / target.name)}
    system = settings.get("include-system-site-packages", "").lower() == "true"
    return VirtualEnvironment(folder, python, mounts, site_packages, system)


def adapted_scripts(venv: VirtualEnvironment) -> dict[str, str]:
    """Name -> text of its console scripts, naming the interpreter as it is called in a sandbox."""
    return dict(_adapted(venv.folder / "bin"))


def _adapted(programs: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(programs.iterdir()):
        if file.name.startswith(("python", "activate", ".")) or not file.is_file():
            continue
        with file.open("rb") as opened:
            start = opened.read(_HEAD)
            if not start.startswith(b"#!") or file.stat().st_size > _MOST_BYTES:
                continue
            text = (start + opened.read(_MOST_BYTES)).decode("utf-8", "surrogateescape")
        if (adapted := _with_interpreter(text)) is not None:
            yield file.name, adapted


def _with_interpreter(text: str) -> str | None:
    """Name another interpreter in a script; None where it names no Python by an absolute path.

    A path that is long or has a space in it stands in the second line, after `/bin/sh` in the first.
    """
    first, _, rest = text.partition("\n")
    if match := re.fullmatch(r"#!\s*/\S*/(python[0-9.]*)(\s.*)?", first):
        return f"#!{VENV}/bin/{match[1]}{match[2] or ''}\n{rest}"
    second, _, rest = rest.partition("\n")
    if first == "#!/bin/sh" and (match := re.fullmatch(r"'''exec' (.*/)(python[0-9.]*)(\"?) (.*)", second)):
        return f"{first}\n'''exec' {VENV}/bin/{match[2]} {match[4]}\n{rest}"
    return None


def _base_program(program: Path, home: Path) -> Path:
    """The interpreter that a program of a virtual environment is, or is a copy of."""
    inside = program.parent
    for _ in range(40):
        if not program.is_symlink():
            break
        program = Path(os.path.normpath(program.parent / program.readlink()))
        if program.parent != inside:
            return program
    return home / program.resolve().name


def _settings(config: Path) -> dict[str, str]:
    with config.open("rb") as opened:
        text = opened.read(_MOST_BYTES).decode("utf-8", "replace")
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _unusable(folder: Path, why: str) -> InvalidInput:
    return InvalidInput(f"environment {str(folder)!r}: {why}")
