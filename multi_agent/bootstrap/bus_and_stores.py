"""The bus, the database and the artifact store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import NotConfigured
from contracts.base.processes.command_lines import command_line
from contracts.ports.bus import MessageBus
from multi_agent.application.data_folder import make_data_folder
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from artifacts.store.repository import Repository
    from orchestrator.storage.sql.database import Database

# Each part is imported where it is built: the command line must not load a database to print its help.
# ruff: noqa: PLC0415

_ADDED_BYTES = 50_000_000


def make_private_bus() -> MessageBus:
    """A bus within this process that nothing else hears."""
    from contracts.bus.connect import open_message_bus

    return open_message_bus("memory://")


def make_bus(settings: Settings) -> MessageBus:
    """The bus. Raises NotConfigured when no URL is known."""
    from contracts.bus.connect import open_message_bus

    if settings.redis_url is None:
        raise NotConfigured(
            f"no Redis is known: set REDIS_URL, or use `{command_line('up')}`, which starts a private one"
        )
    return open_message_bus(settings.redis_url.get_secret_value())


async def connect_bus(settings: Settings) -> MessageBus:
    """The bus, whose server answers and never evicts messages. Raises BusUnavailable, NotConfigured."""
    from contracts.bus.connect import connect_message_bus

    if settings.redis_url is None:
        return make_bus(settings)
    return await connect_message_bus(settings.redis_url.get_secret_value())


def make_database(settings: Settings) -> Database:
    """The database, as it is; see `upgrade_database`."""
    from orchestrator.storage.sql.database import open_database

    make_data_folder(settings.data)
    return open_database(settings.database)


async def open_current_database(settings: Settings) -> Database:
    """The database with the tables of this version. The caller closes it. Raises as `upgrade_database`."""
    from orchestrator.storage.sql.database import is_current

    database = make_database(settings)
    try:
        # Alembic, slow to load, is needed only where there is something to do.
        if not await is_current(database):
            await asyncio.to_thread(upgrade_database, settings)
    except BaseException:
        await database.close()
        raise
    return database


def upgrade_database(settings: Settings) -> None:
    """Bring the database to the current revision."""
    from orchestrator.storage.migrate import upgrade

    make_data_folder(settings.data)
    upgrade(settings.database)


def create_artifacts(settings: Settings) -> None:
    """Create the artifact store, if it is one at a path that does not exist."""
    from artifacts import create_store

    if settings.artifact_store is None:
        make_data_folder(settings.data)
    if "://" not in settings.artifacts:
        create_store(Path(settings.artifacts))


def make_artifacts(settings: Settings) -> GitArtifactStore:
    """The artifact store; one at a path is created when it does not exist."""
    from artifacts import open_store

    create_artifacts(settings)
    # Tasks add files to what a repository has.
    tree_bytes = settings.max_repository_mb * 1_000_000 + _ADDED_BYTES
    return open_store(settings.artifacts, settings.data / "artifact-cache", tree_bytes=tree_bytes)


def make_local_artifacts(path: Path) -> Repository:
    """The store at a path, for callers without asyncio; it is created when it does not exist."""
    from artifacts.git.creation import create_store
    from artifacts.store.repository import Repository

    return Repository(create_store(path))
