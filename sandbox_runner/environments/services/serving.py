"""Environments with the services that a repository's settings name."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from contracts.base.processes.folder_cache import FolderCache
from contracts.documents.repository_settings import SETTINGS_FILES
from contracts.ports.environments import CommitReader, Environments, PreparedEnvironment
from contracts.ports.workspace import NO_ENVIRONMENT
from sandbox_runner.environments.making.keeping import kept
from sandbox_runner.environments.needs.said import said_settings
from sandbox_runner.environments.services.known import FindService, FoundService
from sandbox_runner.environments.services.postgresql import find_postgresql
from sandbox_runner.environments.services.redis import find_redis
from sandbox_runner.local.rootfs import ENVIRONMENT as LOCAL

KNOWN: Final[Mapping[str, FindService]] = MappingProxyType(
    {"postgresql": find_postgresql, "redis": find_redis}
)


class ServedEnvironments:
    """The port: what another one gives, with services beside it."""

    def __init__(
        self,
        environments: Environments,
        files: CommitReader,
        cache: FolderCache,
        *,
        search_path: str,
        seconds: float,
    ) -> None:
        self._environments, self._files, self._cache = environments, files, cache
        self._search_path, self._seconds = search_path, seconds

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments."""
        names = await self._wanted(commit)
        # What is missing is told before anything is fetched and built.
        found = await asyncio.to_thread(lambda: [self._find(name) for name in names])
        async with AsyncExitStack() as stack:
            folders = {}
            for one in found:
                if one.make:
                    folders[one.mount] = await self._snapshot(one, say, stack)
            prepared = await stack.enter_async_context(self._environments.prepare(commit, say))
            yield _with_services(prepared, found, folders) if found else prepared

    async def _wanted(self, commit: str) -> list[str]:
        listed = {file.path: file.oid for file in await self._files.list_files(commit)}
        paths = [path for path in SETTINGS_FILES if path in listed]
        contents = await self._files.read_files([listed[path] for path in paths])
        return sorted((await said_settings(dict(zip(paths, contents, strict=True)))).services)

    def _find(self, name: str) -> FoundService:
        return KNOWN[name](self._search_path, self._seconds)

    async def _snapshot(self, found: FoundService, say: Callable[[str], None], stack: AsyncExitStack) -> str:
        assert found.make is not None
        make = found.make

        async def made(folder: Path) -> None:
            say(f"making the data that {found.version} starts from")
            await make(folder)

        name = f"service-{_digest([found.version, str(found.server)])}"
        entry = await stack.enter_async_context(kept(self._cache, name, made))
        return str(entry.content / "data")


def _with_services(
    prepared: PreparedEnvironment | None, found: list[FoundService], folders: Mapping[str, str]
) -> PreparedEnvironment:
    before = prepared.environment if prepared else NO_ENVIRONMENT
    mounts, variables = {**before.mounts, **folders}, dict(before.variables)
    path = variables.get("PATH", LOCAL["PATH"])
    for one in found:
        mounts |= one.mounts
        variables |= one.variables
        path = f"{path}:{one.server.parent}"
    environment = replace(
        before,
        mounts=mounts,
        variables=MappingProxyType({**variables, "PATH": path}),
        host_programs=(*before.host_programs, *((str(one.server), "--version") for one in found)),
        services=tuple(one.service for one in found),
    )
    versions = [one.version for one in found]
    name = ", ".join([*([prepared.name] if prepared else []), *versions])
    return PreparedEnvironment(environment, name, _digest([prepared.hash if prepared else "", versions]))


def _digest(about: object) -> str:
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
