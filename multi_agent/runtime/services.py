"""Opens what faces need of a data folder: its database, the bus where one is known, a client, artifacts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from multi_agent.bootstrap import make_artifacts, make_bus, make_client, make_database, upgrade_database
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from contracts.ports.bus import MessageBus, Outgoing
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.storage.sql.database import Database

_VIA: Final = "command line"


@dataclass(frozen=True, slots=True)
class Services:
    """Opened services of a data folder."""

    database: Database
    bus: MessageBus | None
    """None when neither REDIS_URL is set nor a private Redis serves the folder."""
    client: WorkflowClient
    """Wakes an orchestrator after a command where there is a bus."""


def with_private_redis(settings: Settings) -> Settings:
    """The settings, with the URL of the private Redis that serves the folder where no other is set."""
    url = FileLock(settings.data / "stack.lock").note().get("redis_url")
    if settings.redis_url is None and url:
        return settings.model_copy(update={"redis_url": SecretStr(url)})
    return settings


@asynccontextmanager
async def open_services(settings: Settings, *, create: bool = False) -> AsyncIterator[Services]:
    """Open the services of a data folder, and close them at the end.

    create: make the database when it does not exist. Otherwise InvalidInput is raised then.
    """
    known = with_private_redis(settings)
    async with _open_database(settings, create=create) as database:
        bus = make_bus(known) if known.redis_url else None
        try:
            yield Services(database, bus, make_client(known, database, bus, via=_VIA))
        finally:
            if bus is not None:
                await bus.close()


@asynccontextmanager
async def open_client(settings: Settings, *, create: bool = False) -> AsyncIterator[WorkflowClient]:
    """Open only the client; see `open_services`."""
    known = with_private_redis(settings)
    async with _open_database(settings, create=create) as database:
        bus = _LateBus(known)
        try:
            yield make_client(known, database, bus if known.redis_url else None, via=_VIA)
        finally:
            await bus.close()


class _LateBus:
    """The bus, opened when something is said: most commands only read, and its driver is slow to import."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bus: MessageBus | None = None

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        """See contracts.ports.bus.BroadcastPort."""
        self._bus = self._bus or make_bus(self._settings)
        await self._bus.broadcast(messages)

    async def close(self) -> None:
        """Close it where it was opened."""
        if self._bus is not None:
            await self._bus.close()


def has_database(settings: Settings) -> bool:
    """Whether there is a database of this data folder, or one that the settings name."""
    return settings.database_url is not None or (settings.data / "state.db").exists()


@asynccontextmanager
async def _open_database(settings: Settings, *, create: bool) -> AsyncIterator[Database]:
    if not create and not has_database(settings):
        ways = f"`{command_line('run', 'REQUEST')}` or `{command_line('up')}`"
        raise InvalidInput(f"there is nothing in {settings.data} yet; start with {ways}")
    if create:
        upgrade_database(settings)
    database = make_database(settings)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_artifacts(settings: Settings) -> AsyncIterator[GitArtifactStore]:
    """Open the artifact store, and close it at the end."""
    artifacts = make_artifacts(settings)
    try:
        yield artifacts
    finally:
        await artifacts.close()
