"""How records of requests are shown."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from contracts.base.text import flowing
from multi_agent.cli.tables import Cell, Column, Terminal
from multi_agent.gateway.records.record import RequestRecord

_STYLES: Final = {"ok": "green", "cancelled": "dim"}
_MOST_NAME: Final = 40


def print_requests(records: Iterable[RequestRecord]) -> None:
    """A table, one line a request, with what went wrong or was lost below it."""
    terminal = Terminal()
    names = ("time", "id", "key", "asked", "model", "outcome", "first", "whole", "in", "out", "tokens/s")
    terminal.print_table([Column(name) for name in names], map(_cells, records))


def print_rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of plain cells."""
    Terminal().print_table([Column(name) for name in names], ([Cell(one) for one in row] for row in rows))


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


def _cells(record: RequestRecord) -> list[Cell]:
    said = f"{record.outcome} ({record.status})" if record.status else record.outcome
    return [
        Cell(moment(record.at)),
        Cell(record.request_id[:12], "dim"),
        Cell(short(record.key)),
        Cell(short(record.asked)),
        Cell(short(record.model)),
        Cell(said, _STYLES.get(record.outcome, "red")),
        Cell(seconds(record.first_ms)),
        Cell(seconds(record.ms)),
        Cell(number(record.input)),
        Cell(number(record.output)),
        Cell(number(record.tokens_per_second)),
    ]
