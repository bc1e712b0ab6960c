"""`multi-agent db backup`."""

from __future__ import annotations

from pathlib import Path

import click

from contracts.base.printing import print_line
from multi_agent.cli.options import data_dir_option, database_option, settings_of
from orchestrator.storage.backup import backup as write_backup


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@database_option
@data_dir_option
def backup(file: Path, **options: object) -> None:
    """Write a checked copy of a SQLite database to FILE while everything runs."""
    write_backup(settings_of(**options).database, file)
    print_line(str(file))
