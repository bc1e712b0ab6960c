"""`multi-agent debug slow`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import click

from contracts.base.printing import print_json, print_line
from multi_agent.cli.debug.reading import log_options, read_log
from multi_agent.cli.debug.text import aligned, number, print_requests, seconds, short
from multi_agent.cli.debug.text import as_json as json_of
from multi_agent.gateway.records.figures import ModelFigures, by_model, slowest

_NAMES: Final = ("model", "answered", "first p50", "p99", "whole p50", "p99", "tokens/s")


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, show_default=True)
@log_options
def slow(limit: int, as_json: bool, **wanted: Any) -> None:
    """Show how fast each model answers, and the slowest requests.

    `first` is the time until the first bytes of a stream, `whole` until the end of an answer.
    """
    records = [one.record for one in read_log(**wanted)]
    models, worst = by_model(records), slowest(records, limit)
    if as_json:
        print_json({"models": [asdict(one) for one in models], "slowest": [json_of(one) for one in worst]})
    elif worst:
        for line in aligned([_NAMES, *map(_cells, models)]):
            print_line(line)
        print_line()
        print_requests(worst)
    else:
        print_line("no such requests")


def _cells(one: ModelFigures) -> list[str]:
    times = (one.first_ms_p50, one.first_ms_p99, one.ms_p50, one.ms_p99)
    return [short(one.model), str(one.requests), *map(seconds, times), number(one.tokens_per_second_p50)]
