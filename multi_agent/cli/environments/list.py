"""`multi-agent environment list`."""

from __future__ import annotations

from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.environments import list_environments
from multi_agent.bootstrap import environment_cache
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings

_MB = 1_000_000


@click.command("list")
@data_dir_option
@json_option
def list_built(as_json: bool, **options: object) -> None:
    """List the environments that are kept, the last used first."""
    found = list_environments(environment_cache(quiet_settings(**options)))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        print_line(f"{one.id}  {one.bytes // _MB:>6,} MB  {one.packages:>4} packages  {one.name}")
    if not found:
        print_line("no environment is kept")
