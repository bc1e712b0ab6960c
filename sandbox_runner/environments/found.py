"""The environment that a repository's files ask for: found, fetched, built, and kept for the next task."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from contracts.base.processes.folder_cache import FolderCache
from contracts.ports.environments import CommitReader, PreparedEnvironment
from contracts.ports.workspace import Environment, Workspaces
from sandbox_runner.environments import places
from sandbox_runner.environments.built import (
    BESIDE,
    BUILT,
    MODULES,
    MODULES_KEPT,
    VENV,
    About,
    read_about,
    write_about,
)
from sandbox_runner.environments.interpreters import Interpreter, program_mounts
from sandbox_runner.environments.making.building import BUILDER, Build, Builder, PythonBuild, build_limits
from sandbox_runner.environments.making.fetching import Fetch, Fetching, installed, read_resolved
from sandbox_runner.environments.making.fetching_modules import fetch_modules
from sandbox_runner.environments.making.keeping import kept
from sandbox_runner.environments.needs import uv_lock
from sandbox_runner.environments.needs.choosing import choose_interpreter, find_interpreters
from sandbox_runner.environments.needs.core_metadata import needs_of_metadata
from sandbox_runner.environments.needs.node_needs import OTHER_LOCKS, PROJECT, NodeNeeds, node_needs
from sandbox_runner.environments.needs.python_needs import PythonNeeds, python_needs
from sandbox_runner.environments.needs.requirement_lines import requirement_of
from sandbox_runner.environments.needs.said import said_settings
from sandbox_runner.environments.needs.uv_lock import LockedVersions
from sandbox_runner.environments.needs.wanted import contents_of

_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class MakingSettings:
    """How environments are made."""

    own_python: Path
    """The interpreter that is taken where a repository does not care."""
    search_path: str
    variables: Mapping[str, str]
    """All that programs see which fetch packages."""
    seconds: float
    """For each step."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One environment that is wanted."""

    commit: str
    files: Mapping[str, bytes]
    tracked: frozenset[str]
    say: Callable[[str], None]
    keep: Callable[[str, Callable[[Path], Awaitable[None]]], Awaitable[Path]]
    """Use an entry of the cache as long as the environment is used: (name, what makes it) -> its folder."""


@dataclass(frozen=True, slots=True)
class _Python:
    """What of an environment is Python's."""

    build: PythonBuild
    resolved: Mapping[str, str]
    title: str


class FoundEnvironments:
    """The port, for what the files of a commit ask for."""

    def __init__(
        self, files: CommitReader, workspaces: Workspaces, cache: FolderCache, settings: MakingSettings
    ) -> None:
        self._files, self._cache, self._settings = files, cache, settings
        self._builder = Builder(workspaces, build_limits(settings.seconds))
        self._fetching = Fetching(settings.variables, settings.seconds)

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments."""
        tracked, files = await contents_of(self._files, commit)
        async with AsyncExitStack() as stack:

            async def keep(name: str, make: Callable[[Path], Awaitable[None]]) -> Path:
                return (await stack.enter_async_context(kept(self._cache, name, make))).content

            yield await self._prepared(_Task(commit, files, tracked, say, keep))

    async def _prepared(self, task: _Task) -> PreparedEnvironment | None:
        setup = tuple(shlex.split((await said_settings(task.files)).setup or ""))
        asked, node = python_needs(task.files), node_needs(task.files)
        if node is None and PROJECT in task.files:
            task.say(_without_lock(task.files))
        if not (setup or asked or node):
            return None
        python = await self._python(task, asked) if asked else None
        modules = await self._modules(task, node) if node else None
        if node and node.left_out:
            named = "; ".join(node.left_out[:_NAMED])
            task.say(f"left out, as only packages of a registry are fetched: {named}")
        packages = {**(python.resolved if python else {}), **(node.packages if node else {})}
        # The build and the set-up may look at everything, also at tags; installing looks at no file.
        reads = task.commit if setup or (python and python.build.itself) else ""
        version = python.build.interpreter.version if python else ""
        digest = _digest([BUILDER, version, packages, node.key if node else "", setup, reads])
        titles = [*([python.title] if python else []), *(["package-lock.json"] if modules else [])]
        name = f"{', '.join(titles) or 'setup'}, {installed(packages)} packages"
        wanted = Build(task.commit, task.tracked, setup, python.build if python else None, modules)

        async def make(folder: Path) -> None:
            await self._build(wanted, task, About(digest, name, packages, 0.0), folder)

        return _found(await task.keep(f"{BUILT}{digest}", make), modules)

    async def _build(self, wanted: Build, task: _Task, about: About, folder: Path) -> None:
        task.say(f"building the environment from {installed(about.packages)} packages, without a network")
        started = time.monotonic()
        await self._builder.build(wanted, folder)
        python = wanted.python
        whole = replace(
            about,
            seconds=round(time.monotonic() - started, 1),
            python=python is not None,
            mounts=dict(program_mounts(python.interpreter.path)) if python else {},
            has_pytest=any((folder / VENV).glob("lib/python*/site-packages/pytest-*.dist-info")),
        )
        await asyncio.to_thread(write_about, folder, whole)

    async def _python(self, task: _Task, needs: PythonNeeds) -> _Python:
        settings = self._settings
        known = await asyncio.to_thread(find_interpreters, settings.own_python, settings.search_path)
        interpreter, reason = choose_interpreter(needs.requires_python, needs.preferred_python, known)
        task.say(f"environment from {', '.join(needs.read) or 'the build'}: {reason}")
        if needs.left_out:
            left_out = "; ".join(needs.left_out[:_NAMED])
            task.say(f"left out, as only names with versions are fetched: {left_out}")
        locked = await _locked(task, needs, interpreter)
        if locked:
            lines = _beside(needs.lines, locked)
            optional, pinned = (*needs.optional, *locked.optional), locked.lines
        else:
            needs = await self._asked(task, needs, interpreter) if needs.asks_the_build else needs
            lines, optional, pinned = with_pytest(needs.lines), needs.optional, ()
        fetch = Fetch(interpreter, lines, needs.constraints, needs.build or (), optional, pinned)
        fetched = await self._fetched(task, fetch)
        resolved = await asyncio.to_thread(read_resolved, fetched)
        without = f" without {', '.join(resolved.without)}" if resolved.without else ""
        read_from = uv_lock.FILE if locked else next(iter(needs.read), "pyproject.toml")
        return _Python(
            PythonBuild(interpreter, fetched, needs.build is not None),
            resolved.packages,
            f"{read_from}{without}, Python {interpreter.version}",
        )

    async def _fetched(self, task: _Task, fetch: Fetch) -> Path:
        async def build(folder: Path, source: str) -> None:
            task.say(f"building {source}, which there is no wheel of, without a network")
            python = PythonBuild(fetch.interpreter, folder, itself=False)
            await self._builder.wheel(Build(task.commit, task.tracked), python, source)

        async def make(folder: Path) -> None:
            asked = len(fetch.lines) + len(fetch.pinned) or len(fetch.build)
            task.say(f"fetching {asked} requirements, and what they need")
            await self._fetching.fetch(fetch, folder, build)

        return await task.keep(f"fetched-{fetch.key}", make)

    async def _asked(self, task: _Task, needs: PythonNeeds, interpreter: Interpreter) -> PythonNeeds:
        """What the repository's own build says that it needs, beside what was read."""
        fetched = await self._fetched(task, Fetch(interpreter, (), (), needs.build or ()))
        python = PythonBuild(interpreter, fetched, itself=True)
        wanted = Build(task.commit, task.tracked, python=python)

        async def make(folder: Path) -> None:
            task.say("asking the repository's build what it needs, without a network")
            found = await self._builder.metadata(wanted, python, folder)
            await asyncio.to_thread((folder / "metadata.json").write_text, json.dumps(found), "utf-8")

        name = f"metadata-{_digest([fetched.parent.name, interpreter.version, task.commit])}"
        text = await asyncio.to_thread((await task.keep(name, make) / "metadata.json").read_text, "utf-8")
        loaded: dict[str, Any] = json.loads(text)
        more = needs_of_metadata(loaded, needs.extras, interpreter.version)
        return replace(needs, lines=tuple(dict.fromkeys([*needs.lines, *more])))

    async def _modules(self, task: _Task, needs: NodeNeeds) -> Path:
        settings = self._settings

        async def make(folder: Path) -> None:
            task.say(f"fetching {len(needs.packages)} packages of package-lock.json")
            await fetch_modules(
                needs,
                folder,
                variables=settings.variables,
                search_path=settings.search_path,
                seconds=settings.seconds,
            )

        return await task.keep(f"{MODULES_KEPT}{needs.key}", make) / MODULES


def _without_lock(files: Mapping[str, bytes]) -> str:
    """What is told of a repository whose JavaScript has no lock that is read."""
    for lock, program in OTHER_LOCKS.items():
        if lock in files:
            return (
                f"{lock} of {program} is not read: its packages are not fetched; "
                f"install them with {program}, and name the folder with --environment DIR"
            )
    return "package.json is there without package-lock.json: its packages are not fetched"


async def _locked(task: _Task, needs: PythonNeeds, interpreter: Interpreter) -> LockedVersions | None:
    """What `uv.lock` says, where there is one that fits."""
    if uv_lock.FILE not in task.files:
        return None
    required = [line for line in needs.lines if line not in needs.optional]
    content = task.files[uv_lock.FILE]
    try:
        locked = await asyncio.to_thread(
            uv_lock.read_lock,
            content,
            interpreter.version,
            extras=needs.extras,
            groups=needs.groups,
            optional_groups=needs.optional_groups,
            lines=required,
        )
    except uv_lock.LockNotUsed as error:
        task.say(f"{uv_lock.FILE} is not used, as it {error}: versions are resolved from what is asked for")
        return None
    task.say(f"versions and hashes of {len(locked.lines)} packages are those of {uv_lock.FILE}")
    return locked


def _beside(lines: tuple[str, ...], locked: LockedVersions) -> tuple[str, ...]:
    """What is asked for that the lock does not have."""
    versions = locked.versions
    return tuple(line for line in lines if canonicalize_name(requirement_of(line).name) not in versions)


def with_pytest(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Add pytest, unless it is asked for, or every line has hashes, beside which nothing may stand."""
    asked = any(line.lower().startswith("pytest") and line[6:7] not in {"-", "_", "."} for line in lines)
    return lines if asked or any("--hash=" in line for line in lines) else (*lines, "pytest")


def _found(content: Path, modules: Path | None) -> PreparedEnvironment:
    about = read_about(content)
    assert about is not None, "an entry of the cache is there as a whole"
    mounts = {**about.mounts, places.VENV: str(content / VENV)} if about.python else {}
    environment = Environment(
        mounts | ({places.NODE_MODULES: str(modules)} if modules else {}),
        places.variables(python=about.python, has_pytest=about.has_pytest, modules=modules is not None),
        beside=str(content / BESIDE),
        host_programs=places.PROGRAMS if about.python else (),
    )
    return PreparedEnvironment(environment, about.name, about.hash)


def _digest(about: object) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
