"""Upgrades a database to the current revision."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError

from contracts.base.errors import NotConfigured
from orchestrator.storage.sql.database import parse_url, place_of
from orchestrator.storage.sql.transactions import translated


def migration_config(url: str) -> Config:
    """Alembic's settings for a database, with the migrations of the `migrations` package."""
    import migrations  # noqa: PLC0415 - only its path is needed, and only here

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["url"] = parse_url(url)
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade in one transaction. Raises StoreUnavailable, and NotConfigured when it is not possible."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config, parsed = migration_config(url), parse_url(url)
    try:
        command.upgrade(config, revision)
    except DatabaseError as error:
        raise translated(error, place_of(parsed), parsed.username) from None
    except CommandError as error:
        raise NotConfigured(f"the database cannot be upgraded: {error}") from None
