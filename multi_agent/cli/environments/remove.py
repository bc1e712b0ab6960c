"""`multi-agent environment remove`."""

from __future__ import annotations

from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.environments import remove_environment
from multi_agent.bootstrap import environment_cache
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings


@click.command()
@click.argument("environment_id", metavar="ID")
@data_dir_option
@json_option
def remove(environment_id: str, as_json: bool, **options: object) -> None:
    """Remove the environment ID, the beginning of its hash. One that is in use stays."""
    removed = remove_environment(environment_cache(quiet_settings(**options)), environment_id)
    if as_json:
        print_json(asdict(removed))
    else:
        print_line(f"removed: {removed.id}  {removed.name}")
