"""`multi-agent db`."""

from __future__ import annotations

from pathlib import Path

import click

from multi_agent.bootstrap import upgrade_database
from multi_agent.cli.common import data_dir_option, settings_of


@click.group()
def db() -> None:
    """Manage the database."""


@db.command()
@click.option("--database-url", help="The database. [env DATABASE_URL; default: SQLite in the data folder]")
@data_dir_option
def upgrade(**options: object) -> None:
    """Bring the database to the current revision; `run`, `up` and `orchestrator` do it by themselves."""
    settings = settings_of(**options)
    upgrade_database(settings)
    click.echo("the database is current")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--database-url", help="The database. [env DATABASE_URL; default: SQLite in the data folder]")
@data_dir_option
def backup(file: Path, **options: object) -> None:
    """Write a checked copy of a SQLite database to FILE while everything runs."""
    from orchestrator.storage.backup import backup as write_backup  # noqa: PLC0415 - heavy

    write_backup(settings_of(**options).database, file)
    click.echo(str(file))
