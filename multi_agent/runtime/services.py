"""Opens what faces need of a data folder: its database, the bus where one is known, a client, artifacts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from multi_agent.bootstrap import make_artifacts, make_bus, make_client, make_database, upgrade_database
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from contracts.ports.bus import MessageBus
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.storage.sql.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """Opened services of a data folder."""

    database: Database
    bus: MessageBus | None
    """None when neither REDIS_URL is set nor a private Redis serves the folder."""
    client: WorkflowClient
    """Wakes an orchestrator after a command where there is a bus."""


@asynccontextmanager
async def open_services(settings: Settings, *, create: bool = False) -> AsyncIterator[Services]:
    """Open the services of a data folder, and close them at the end.

    create: make the database when it does not exist. Otherwise InvalidInput is raised then.
    """
    if not create and settings.database_url is None and not (settings.data / "state.db").exists():
        ways = f"`{command_line('run', 'REQUEST')}` or `{command_line('up')}`"
        raise InvalidInput(f"there is nothing in {settings.data} yet; start with {ways}")
    url = FileLock(settings.data / "stack.lock").note().get("redis_url")
    if settings.redis_url is None and url:
        settings = settings.model_copy(update={"redis_url": SecretStr(url)})
    bus = make_bus(settings) if settings.redis_url else None
    if create:
        upgrade_database(settings)
    database = make_database(settings)
    try:
        yield Services(database, bus, make_client(settings, database, bus))
    finally:
        await database.close()
        if bus is not None:
            await bus.close()


@asynccontextmanager
async def open_client(settings: Settings, *, create: bool = False) -> AsyncIterator[WorkflowClient]:
    """Open only the client; see `open_services`."""
    async with open_services(settings, create=create) as services:
        yield services.client


@asynccontextmanager
async def open_artifacts(settings: Settings) -> AsyncIterator[GitArtifactStore]:
    """Open the artifact store, and close it at the end."""
    artifacts = make_artifacts(settings)
    try:
        yield artifacts
    finally:
        await artifacts.close()
