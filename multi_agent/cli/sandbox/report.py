"""How `multi-agent sandbox test` shows its progress and what it found."""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox_runner.probe_report import BackendReport
from sandbox_runner.probes.model import Status

_WORDS: Mapping[Status, str] = {
    Status.OK: "ok",
    Status.DIFFERENT: "DIFFERENT",
    Status.UNAVAILABLE: "not available",
}
_STYLES: Mapping[Status, str] = {
    Status.OK: "green",
    Status.DIFFERENT: "bold red",
    Status.UNAVAILABLE: "dim",
}


class Progress:
    """The probe at hand, on one line of a terminal's stderr that goes away at the end."""

    def __init__(self, backend: str) -> None:
        console = Console(stderr=True)
        self._backend = backend
        self._status = console.status(f"{backend} ...") if console.is_terminal else None

    def tell(self, probe: str) -> None:
        """Show which probe runs now."""
        if self._status:
            self._status.update(f"{self._backend}: {probe}")

    def __enter__(self) -> Progress:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()


def show(reports: list[BackendReport]) -> None:
    """A table on a terminal, plain lines otherwise; then the backends, and what differs with its reason."""
    console = Console()
    if console.is_terminal:
        console.print(_table(reports))
    else:
        for report in reports:
            for one in report.outcomes:
                click.echo(f"{report.backend}  {one.probe}  {_WORDS[one.status]}")
    for report in reports:
        click.echo(f"{report.backend}: {_summary(report)}")
        for one in report.different:
            click.echo(f"  {one.probe}: expected: {one.must}; it {one.seen}")


def _table(reports: list[BackendReport]) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for column in ("probe", *(report.backend for report in reports)):
        table.add_column(column, no_wrap=True)
    for row in zip(*(report.outcomes for report in reports), strict=True):
        table.add_row(row[0].probe, *(Text(_WORDS[one.status], _STYLES[one.status]) for one in row))
    return table


def _summary(report: BackendReport) -> str:
    if not report.tried:
        return f"not available: {report.remark}"
    fine = len(report.outcomes) - len(report.different)
    return f"level {report.level}; {fine} of {len(report.outcomes)} probes ok; {report.remark}"
