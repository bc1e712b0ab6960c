"""Builds a virtual environment in a workspace, without a network, over what was fetched."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from contracts.base.errors import EnvironmentFailed, LimitExceeded, UnsafePath
from contracts.ports.trees import TreeBase, TreeFile
from contracts.ports.workspace import Environment, ExecResult, Workspace, WorkspaceLimits, Workspaces
from sandbox_runner.environments import places
from sandbox_runner.environments.built import BESIDE, VENV
from sandbox_runner.environments.interpreters import Interpreter, program_mounts
from sandbox_runner.environments.making.fetching import BUILD, PIP, RUN
from sandbox_runner.environments.making.outcome import PACK, STREAM, read_stream, unpack
from sandbox_runner.environments.making.sources import SOURCES, WHEELS
from sandbox_runner.environments.owning import give_to_programs, link_modules
from sandbox_runner.environments.steps import FOLDER_HELPS, check_step

BUILDER: Final = 1
"""Raised when the same packages lead to another environment."""
_FETCHED: Final = "/opt/fetched"
_HERE: Final = "/tmp/environment"  # noqa: S108 - inside
"""Where it is built; a link leads here from where it will be."""
_REPORT: Final = ".environment-report.json"
_WHEELS: Final = ".environment-wheels"
_QUIET: Final = ("--no-input", "--no-cache-dir", "--disable-pip-version-check")
_OFFLINE: Final = ("--no-index", "--find-links", f"{_FETCHED}/{BUILD}", "--find-links", f"{_FETCHED}/{RUN}")
_MEND_BUILD: Final = f"mend the repository's build, {FOLDER_HELPS}"
_MEND_SOURCE: Final = f"allow a version that has a wheel, {FOLDER_HELPS}"
_LITTER: Final = ("__pycache__", ".pytest_cache")


def build_limits(seconds: float) -> WorkspaceLimits:
    """What a build may use, where each step may take so long."""
    return WorkspaceLimits(
        command_seconds=seconds,
        output_bytes=16_000_000,
        memory_mb=8_192,
        processes=512,
        disk_mb=6_144,
        file_count=400_000,
        changed_mb=512,
        changed_files=50_000,
    )


@dataclass(frozen=True, slots=True)
class PythonBuild:
    """The virtual environment that is built."""

    interpreter: Interpreter
    fetched: Path
    """What was fetched (fetching.Fetching)."""
    itself: bool
    """Whether the repository's own package is installed, so that its tree is imported."""

    @property
    def pip(self) -> str:
        """Where pip is inside."""
        return f"{_FETCHED}/{PIP}/{next((self.fetched / PIP).iterdir()).name}/pip"

    def install(self, *words: str) -> tuple[str, ...]:
        """The command that installs something into it."""
        return (
            f"{places.VENV}/bin/python",
            "-I",
            self.pip,
            "install",
            "--no-warn-script-location",
            *_QUIET,
            *words,
        )


@dataclass(frozen=True, slots=True)
class Build:
    """What is built."""

    commit: str
    tracked: frozenset[str]
    """Paths of the commit."""
    setup: tuple[str, ...] = ()
    """A command of the repository's; empty for none."""
    python: PythonBuild | None = None
    modules: Path | None = None
    """Those of Node.js, which are there already."""


class Builder:
    """Builds in workspaces. Raises EnvironmentFailed for a step that failed, SandboxUnavailable."""

    def __init__(self, workspaces: Workspaces, limits: WorkspaceLimits) -> None:
        self._workspaces = workspaces
        self._limits = limits

    async def build(self, wanted: Build, folder: Path) -> None:
        """Build into a folder: the virtual environment, and what lies beside the tree."""
        python = wanted.python
        async with self._workspace(wanted, folder) as (workspace, run):
            if python:
                await _install(python, run)
            if python and python.itself:
                await run("build", python.install(*_OFFLINE, "--no-deps", "--editable", "."), _MEND_BUILD)
            if wanted.setup:
                await run("setup", wanted.setup, "mend the command `setup` of the repository's settings")
            await _keep_beside(workspace, wanted, folder / BESIDE)
            if python:
                packing = (str(python.interpreter.path), "-I", "-S", "-c", PACK, f"{_HERE}/{VENV}", STREAM)
                await run("build", packing, FOLDER_HELPS)
                await _keep_venv(workspace, folder / VENV)

    async def metadata(self, wanted: Build, python: PythonBuild, folder: Path) -> Mapping[str, Any]:
        """What the repository's own build says of it, by the names of core metadata in lower case."""
        async with self._workspace(wanted, folder) as (workspace, run):
            await _install(python, run)
            asked = ("--no-deps", "--dry-run", "--ignore-installed", "--quiet", "--report", _REPORT, ".")
            await run("metadata", python.install(*_OFFLINE, *asked), _MEND_BUILD)
            report = await workspace.read(_REPORT)
        try:
            found = json.loads(report)["install"][0]["metadata"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise EnvironmentFailed("environment, step metadata: pip's report cannot be read") from None
        return found if isinstance(found, dict) else {}

    async def wheel(self, wanted: Build, python: PythonBuild, source: str) -> None:
        """Build the wheel of a source that was fetched, into the folder for these among what was fetched."""
        place = python.fetched
        async with self._workspace(replace(wanted, python=python), place.parent) as (workspace, run):
            program = (str(python.interpreter.path), "-I", python.pip, "wheel", *_QUIET)
            which = ("--no-deps", "--wheel-dir", _WHEELS, f"{_FETCHED}/{SOURCES}/{source}")
            await run("source", (*program, *_OFFLINE, *which), _MEND_SOURCE)
            for entry in await workspace.list(_WHEELS):
                _check_wheel(entry.name, source)
                with (place / WHEELS / entry.name).open("xb") as target:
                    await read_stream(workspace, target, f"{_WHEELS}/{entry.name}")

    @asynccontextmanager
    async def _workspace(self, wanted: Build, folder: Path) -> AsyncIterator[tuple[Workspace, _Runner]]:
        frame = _frame(folder)
        try:
            workspace = await self._workspaces.open(
                TreeBase(wanted.commit), _inside(wanted, frame), self._limits
            )
            try:
                yield workspace, _Runner(workspace)
            finally:
                await workspace.close()
        finally:
            shutil.rmtree(frame, ignore_errors=True)


def _check_wheel(file: str, source: str) -> None:
    """Raises EnvironmentFailed for a file that is no wheel of the source's package."""
    try:
        built, expected = parse_wheel_filename(file)[0], parse_sdist_filename(source)[0]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion) as error:
        raise EnvironmentFailed(f"environment, step source: {error}; {_MEND_SOURCE}") from None
    if built != expected or "/" in file:
        raise EnvironmentFailed(f"environment, step source: {source} built {file!r}; {_MEND_SOURCE}")


async def _install(python: PythonBuild, run: _Runner) -> None:
    """Make a virtual environment, and install what was fetched to be in it."""
    program = str(python.interpreter.path)
    await run("build", ("mkdir", _HERE), FOLDER_HELPS)
    await run("build", (program, "-I", "-m", "venv", "--without-pip", places.VENV), FOLDER_HELPS)
    files = sorted(f"{_FETCHED}/{RUN}/{path.name}" for path in (python.fetched / RUN).iterdir())
    if files:
        await run("install", python.install("--no-index", "--no-deps", *files), FOLDER_HELPS)


def _inside(wanted: Build, frame: Path) -> Environment:
    """What is there while it is built."""
    mounts = {places.HOME: str(frame)}
    programs: tuple[tuple[str, ...], ...] = ()
    if python := wanted.python:
        mounts |= {**program_mounts(python.interpreter.path), _FETCHED: str(python.fetched)}
        programs = ((str(python.interpreter.path), "-c", "import zlib"),)
    if wanted.modules:
        mounts[places.NODE_MODULES] = str(wanted.modules)
    variables = places.variables(
        python=python is not None, has_pytest=True, modules=wanted.modules is not None
    )
    beside = str(frame / BESIDE) if wanted.modules else ""
    return Environment(mounts, variables, beside=beside, host_programs=programs)


async def _keep_beside(workspace: Workspace, wanted: Build, folder: Path) -> None:
    try:
        changes = await workspace.diff()
    except (LimitExceeded, UnsafePath) as error:
        raise EnvironmentFailed(
            f"environment, step build: the files that it wrote cannot be kept: {error}"
        ) from None
    new = {path: file for path, file in changes.files.items() if _is_kept(path, wanted.tracked)}
    await asyncio.to_thread(_write_beside, new, folder, modules=wanted.modules is not None)


def _frame(folder: Path) -> Path:
    """Make the folder that lies where the environment will be, with a link to where it is built."""
    frame = Path(tempfile.mkdtemp(prefix=".frame-", dir=folder))
    (frame / places.LINK).symlink_to(_HERE)
    (frame / BESIDE).mkdir()
    link_modules(frame / BESIDE)
    frame.chmod(0o755)
    return frame


class _Runner:
    """Runs the commands of a build, one after the other."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._number = 0

    async def __call__(self, step: str, argv: Sequence[str], change: str) -> ExecResult:
        """Run one. Raises EnvironmentFailed unless it succeeds; `change` is what to do then."""
        self._number += 1
        return check_step(step, await self._workspace.exec(self._number, argv), change)


def _is_kept(path: str, tracked: frozenset[str]) -> bool:
    return path not in tracked and not any(part in _LITTER for part in path.split("/"))


def _write_beside(files: Mapping[str, TreeFile], folder: Path, *, modules: bool) -> None:
    folder.mkdir(mode=0o755)
    if modules:
        link_modules(folder)
    links = {path: file for path, file in files.items() if file.is_link}
    for path, file in files.items():
        (folder / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not file.is_link:
            (folder / path).write_bytes(file.content)
            (folder / path).chmod(0o755 if file.executable else 0o644)
    for path, file in links.items():
        (folder / path).symlink_to(file.content.decode("utf-8", "surrogateescape"))
    give_to_programs(folder)


async def _keep_venv(workspace: Workspace, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder.parent) as stream:
        await read_stream(workspace, stream)
        stream.seek(0)
        await asyncio.to_thread(unpack, stream, folder)
