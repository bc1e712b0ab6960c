"""`multi-agent debug errors`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from contracts.base.printing import print_json, print_line
from multi_agent.cli.debug.reading import log_options, read_log
from multi_agent.cli.debug.text import moment, short
from multi_agent.gateway.records.figures import ErrorClass, error_classes


@click.command()
@log_options
def errors(as_json: bool, **wanted: Any) -> None:
    """Show what went wrong, by kind, status and model, the most frequent first."""
    records = [one.record for one in read_log(**wanted)]
    found = error_classes(records)
    if as_json:
        return print_json([asdict(one) for one in found])
    for one in found:
        print_line(_text(one))
    wrong = sum(one.requests for one in found)
    return print_line(f"{wrong:,} of {len(records):,} requests went wrong")


def _text(one: ErrorClass) -> str:
    status = f" {one.status}" if one.status else ""
    where = f" from {short(one.model)}" if one.model else ""
    said = f": {short(one.last_reason, 200)}" if one.last_reason else ""
    last = f"last {moment(one.last_at)} as {one.last_request_id[:12]}"
    return f"{one.requests:>6,} x {one.failure}{status}{where}, {last}{said}"
