"""Fetches packages with a network, by programs of ours: no code of the repository or of a package runs.

pip takes wheels alone, since a source archive would be executed to learn what it needs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from contracts.base.errors import EnvironmentFailed, InvalidInput
from sandbox_runner.environments.indexes.access import IndexAccess, check_indexes, pip_access
from sandbox_runner.environments.interpreters import Interpreter
from sandbox_runner.environments.making.hashes import check_source, drop_others, names, sha256, with_made
from sandbox_runner.environments.making.sources import SOURCES, WHEELS, SourceFetching
from sandbox_runner.environments.needs.requirement_lines import clean
from sandbox_runner.environments.steps import FOLDER_HELPS, failed, run_outside

RUN: Final = "run"
BUILD: Final = "build"
PIP: Final = "pip"
_RESOLVED: Final = "resolved.json"
BuildWheel = Callable[[Path, str], Awaitable[None]]
"""(folder of what was fetched, name of an archive in its SOURCES) -> a wheel in its WHEELS."""
_OPTIONS: Final = (
    "--only-binary",
    ":all:",
    "--no-input",
    "--no-color",
    "--disable-pip-version-check",
    "--progress-bar",
    "off",
)
# What backends ask for beside what a repository names, when it is installed editable.
_BACKENDS: Final = {"setuptools": ("wheel",), "hatchling": ("editables",), "pdm-backend": ("editables",)}
_MOST_LEFT_OUT: Final = 20
_NO_WHEEL = re.compile(rb"(?:No matching distribution found for|that satisfies the requirement) ([^\n(]+)")
_CONFLICT = re.compile(rb"Cannot install ([^\n]+?) because")
_OTHER_CONTENT = re.compile(rb"DO NOT MATCH THE HASHES.*?\n\s+([\w.-]+)==", re.DOTALL)
_CAUSE = re.compile(rb"^ +[^\n]+ depends on ([^\n]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fetch:
    """What pip is asked for."""

    interpreter: Interpreter
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    build: tuple[str, ...]
    optional: tuple[str, ...] = ()
    """Those of the lines that may be left out where there is no wheel."""
    pinned: tuple[str, ...] = ()
    """Further lines, each one version with its hashes, and with all that these need."""

    @property
    def key(self) -> str:
        """64 hex digits: the same question."""
        python = (self.interpreter.version, self.interpreter.platform)
        about = [python, self.lines, self.constraints, self.build, self.optional]
        about += [self.pinned] if self.pinned else []
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fetching:
    """How packages are fetched.

    variables: those by which the user's settings of pip are found.
    """

    variables: Mapping[str, str]
    seconds: float

    async def fetch(self, wanted: Fetch, folder: Path, build: BuildWheel) -> None:
        """Fetch into a folder. Raises EnvironmentFailed, InvalidInput.

        build: makes the wheel of a source in the folder, where nothing else is there of a package.
        """
        pip = _place_pip(wanted.interpreter, folder / PIP)
        async with pip_access(wanted.interpreter, pip, folder, self.variables) as access:
            pips = _Pip(wanted, pip, folder, access, self.seconds)
            without = await pips.fetch_what_there_is(build)
            await pips.download(BUILD, _for_build(wanted.build), ())
        await asyncio.to_thread(_record, folder, without)


@dataclass(frozen=True, slots=True)
class _Pip:
    """Asks pip, through the proxy."""

    wanted: Fetch
    pip: Path
    folder: Path
    access: IndexAccess
    seconds: float

    async def fetch_what_there_is(self, build: BuildWheel) -> list[str]:
        """Fetch what is asked for; return the lines that are left out, as there is no wheel."""
        wanted = self.wanted
        without: list[str] = []
        built: set[str] = set()
        first: EnvironmentFailed | None = None
        for _ in range(_MOST_LEFT_OUT + 1):
            lines, pinned = (
                [line for line in several if line not in without] for several in (wanted.lines, wanted.pinned)
            )
            try:
                exact = with_made(pinned, self.folder / WHEELS)
                await self.download(RUN, exact, (), ("--no-deps", "--require-hashes"))
                pins = [line.partition(" ")[0] for line in pinned]
                await self.download(RUN, lines, [*wanted.constraints, *pins])
                await asyncio.to_thread(drop_others, self.folder / RUN, exact)
            except _NoWheel as error:
                first = first or error
                absent = [line for line in wanted.optional if names(line, error.name) and line not in without]
                without += absent if error.is_asked_for else []
                if absent and error.is_asked_for:
                    continue
                if error.name in built or not await self._built(error.name, build):
                    raise first from None
                built.add(error.name)
            else:
                return without
        raise first or EnvironmentFailed("")

    async def _built(self, requirement: str, build: BuildWheel) -> bool:
        """Make a wheel of a package that has none; False where there is no source either, or no need."""
        sources = SourceFetching(self.wanted.interpreter, self.pip, self.access.variables, self.seconds)
        source = await sources.fetch(requirement, self.folder / SOURCES)
        if source is None:
            return False
        check_source(source.file, [*self.wanted.pinned, *self.wanted.lines])
        await self.download(BUILD, _for_build(source.needs), ())
        (self.folder / WHEELS).mkdir(exist_ok=True)
        await build(self.folder, source.file.name)
        return True

    async def download(
        self, into: str, lines: Sequence[str], constraints: Sequence[str], how: Sequence[str] = ()
    ) -> None:
        """Fetch wheels into a folder, with all that they need. Raises EnvironmentFailed."""
        options = [*how, *_ask(self.folder / into, lines, constraints)]
        if not lines:
            return
        made = self.folder / WHEELS
        interpreter = self.wanted.interpreter
        variables = dict(self.access.variables)
        if made.is_dir():
            # An option would stand in the place of the user's own.
            variables["PIP_FIND_LINKS"] = f"{variables.get('PIP_FIND_LINKS', '')} {made}".strip()
        argv = (str(interpreter.path), "-I", f"{self.pip}/pip", "download", *_OPTIONS, *options)
        self.access.proxy.forget()
        code, output = await run_outside(argv, folder=self.folder, variables=variables, seconds=self.seconds)
        if code is None:
            raise failed(
                "fetch",
                f"did not end within {self.seconds:.0f} s",
                output,
                "set MULTI_AGENT_ENVIRONMENT_SECONDS higher, or look at pip's settings of the index",
            )
        if code:
            check_indexes(self.access, "pip")
            raise _explained(self.access, output, interpreter)


def _for_build(lines: Sequence[str]) -> list[str]:
    """What a build asks for, and what its backend asks for beside it."""
    extra = [more for name, more in _BACKENDS.items() if any(names(line, name) for line in lines)]
    return [*lines, *(line for more in extra for line in more)]


def _place_pip(interpreter: Interpreter, folder: Path) -> Path:
    """Copy pip to a folder, where sandboxes will find it."""
    pip = find_pip(interpreter)
    folder.mkdir()
    return Path(shutil.copyfile(pip, folder / pip.name))


def _ask(folder: Path, lines: Sequence[str], constraints: Sequence[str]) -> list[str]:
    """Write what is asked for; the options that say so."""
    folder.mkdir(exist_ok=True)
    options = ["--dest", str(folder)]
    for option, texts in (("requirement", lines), ("constraint", constraints)):
        file = folder.with_name(f"{folder.name}-{option}.txt")
        file.write_text("".join(f"{line}\n" for line in texts), "utf-8")
        options += [f"--{option}", str(file)] if texts else []
    return options


def _record(folder: Path, without: Sequence[str]) -> None:
    fetched = sorted(folder.glob("*/*.whl"))
    resolved = {path.relative_to(folder).as_posix(): sha256(path) for path in fetched}
    (folder / _RESOLVED).write_text(json.dumps({"packages": resolved, "without": without}), "utf-8")


def find_pip(interpreter: Interpreter) -> Path:
    """The pip that comes with an interpreter, as a file that it can run. Raises InvalidInput without one."""
    library = interpreter.path.parent.parent / "lib" / f"python{interpreter.minor}"
    for folder in (library / "ensurepip/_bundled", Path("/usr/share/python-wheels")):
        if found := sorted(folder.glob("pip-*.whl")):
            return found[-1]
    raise InvalidInput(
        f"Python {interpreter.version} at {interpreter.path} has no pip; install its venv package "
        f"(apt install python{interpreter.minor}-venv), {FOLDER_HELPS}"
    )


class Resolved(NamedTuple):
    """What was fetched."""

    packages: Mapping[str, str]
    """File -> sha256, pip itself among it."""
    without: Sequence[str]
    """What was asked for and left out, as there is no wheel."""


def read_resolved(folder: Path) -> Resolved:
    """Read what was fetched into a folder."""
    return Resolved(**json.loads((folder / _RESOLVED).read_text("utf-8")))


def installed(packages: Mapping[str, str]) -> int:
    """How many packages are installed; what builds need, and pip itself, aside."""
    return sum(1 for path in packages if not path.startswith((f"{BUILD}/", f"{PIP}/")))


class _NoWheel(EnvironmentFailed):
    """There is no wheel of what was asked for, or there may be none of what that depends on."""

    def __init__(self, message: str, name: str, *, is_asked_for: bool) -> None:
        super().__init__(message)
        self.name, self.is_asked_for = name, is_asked_for


def _explained(access: IndexAccess, output: bytes, interpreter: Interpreter) -> EnvironmentFailed:
    output = access.told(output)
    on = f"for Python {interpreter.version} on {interpreter.platform}"
    if match := _CONFLICT.search(output):
        several = match[1].decode("utf-8", "replace")
        why, change = f"{several} need different versions of a package", f"change one, {FOLDER_HELPS}"
        error = failed("fetch", why, output, change)
        causes = [cause.decode("utf-8", "replace").strip() for cause in _CAUSE.findall(output)]
        if causes and all(_is_requirement(cause) and names(cause, causes[0]) for cause in causes):
            return _NoWheel(str(error), causes[0].partition(";")[0], is_asked_for=False)
        return error
    if match := _NO_WHEEL.search(output):
        name = match[1].decode("utf-8", "replace").strip()
        denied = f" ({access.proxy.denied})" if access.proxy.denied else ""
        why = f"no wheel of {name!r} {on}{denied}"
        change = f"allow a version that has one, add an index to pip's settings, {FOLDER_HELPS}"
        return _NoWheel(str(failed("fetch", why, output, change)), name, is_asked_for=True)
    if match := _OTHER_CONTENT.search(output):
        why = f"what the index has of {match[1].decode()} is another content than the lock's"
        return failed("fetch", why, output, f"lock it again, {FOLDER_HELPS}")
    return failed("fetch", "pip failed", output, f"mend what it says, {FOLDER_HELPS}")


def _is_requirement(text: str) -> bool:
    return clean(text) is not None
