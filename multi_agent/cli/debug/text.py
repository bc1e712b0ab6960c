"""How records of requests are shown."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from contracts.base.text import flowing
from multi_agent.cli.tables import Terminal
from multi_agent.gateway.records.record import RequestRecord

_NAMES: Final = (
    *("time", "id", "key", "asked", "model", "ended", "first", "whole", "in", "out", "tokens/s"),
    "reason",
)
_STYLES: Final = {"ok": "", "cancelled": "dim"}
_MOST_NAME: Final = 40
_MOST_REASON: Final = 120


def print_requests(records: Iterable[RequestRecord]) -> None:
    """One line a request, in columns; what went wrong at its end."""
    found = list(records)
    terminal = Terminal()
    head, *lines = aligned([_NAMES, *map(_cells, found)])
    terminal.print_line(head, "dim")
    for record, line in zip(found, lines, strict=True):
        terminal.print_line(line, _STYLES.get(record.outcome, "red"))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, in columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def as_json(record: RequestRecord) -> dict[str, Any]:
    """A record for programs."""
    return asdict(record) | {"outcome": record.outcome, "tokens_per_second": record.tokens_per_second}


def moment(at: float) -> str:
    """A time of the log."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(at))


def seconds(ms: float | None) -> str:
    """Milliseconds as people read them."""
    return "" if ms is None else f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1_000:.1f} s"


def number(value: float | None) -> str:
    """A whole number as people read it."""
    return "" if value is None else f"{value:,.0f}"


def short(text: str, most: int = _MOST_NAME) -> str:
    """One line of text from outside."""
    flat = flowing(text)
    return flat if len(flat) <= most else flat[: most - 3] + "..."


def _cells(record: RequestRecord) -> list[str]:
    said = f"{record.outcome} {record.status}" if record.status else record.outcome
    if record.tries > 1:
        said += f", {record.tries} tries"
    return [
        moment(record.at),
        record.request_id[:12],
        short(record.key),
        short(record.asked),
        short(record.model),
        said,
        seconds(record.first_ms),
        seconds(record.ms),
        number(record.input),
        number(record.output),
        number(record.tokens_per_second),
        short(record.reason, _MOST_REASON),
    ]
