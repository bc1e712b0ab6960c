"""`multi-agent debug requests`."""

from __future__ import annotations

from typing import Any

import click

from contracts.base.printing import print_json, print_line
from multi_agent.cli.debug.reading import log_options, read_log
from multi_agent.cli.debug.text import as_json as json_of
from multi_agent.cli.debug.text import print_requests


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@log_options
def requests(limit: int, as_json: bool, **wanted: Any) -> None:
    """List the newest requests, the last at the end."""
    records = [one.record for one in read_log(limit=limit, **wanted)]
    if as_json:
        print_json([json_of(record) for record in records])
    elif records:
        print_requests(records)
    else:
        print_line("no such requests")
