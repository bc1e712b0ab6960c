"""`multi-agent db upgrade`."""

from __future__ import annotations

import click

from contracts.base.printing import print_line
from multi_agent.bootstrap import upgrade_database
from multi_agent.cli.options import data_dir_option, database_option, settings_of


@click.command()
@database_option
@data_dir_option
def upgrade(**options: object) -> None:
    """Bring the database to the current revision; `run`, `up` and `orchestrator` do it by themselves."""
    upgrade_database(settings_of(**options))
    print_line("the database is current")
