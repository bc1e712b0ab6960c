"""`multi-agent db`."""

from __future__ import annotations

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
