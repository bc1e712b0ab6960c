"""How `multi-agent sandbox test` shows its progress and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from contracts.base.printing import print_line
from multi_agent.cli.tables import Cell, Column, Terminal
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


class ProbeProgress:
    """The probe at hand, on one line of a terminal's stderr that goes away at the end."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._terminal = Terminal(err=True)

    def tell(self, probe: str) -> None:
        """Show which probe runs now."""
        self._terminal.show_activity(f"{self._backend}: {probe}")

    def __enter__(self) -> ProbeProgress:
        self._terminal.show_activity(f"{self._backend} ...")
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.close()


def show(reports: list[BackendReport]) -> None:
    """A table on a terminal, plain lines otherwise; then the backends, and what differs with its reason."""
    terminal = Terminal()
    if terminal.is_terminal:
        columns = [Column(name) for name in ("probe", *(report.backend for report in reports))]
        terminal.print_table(columns, _rows(reports))
    else:
        for report in reports:
            for one in report.outcomes:
                print_line(f"{report.backend}  {one.probe}  {_WORDS[one.status]}")
    for report in reports:
        print_line(f"{report.backend}: {_summary(report)}")
        for one in report.different:
            print_line(f"  {one.probe}: expected: {one.must}; it {one.seen}")


def _rows(reports: list[BackendReport]) -> Iterator[list[Cell]]:
    for row in zip(*(report.outcomes for report in reports), strict=True):
        yield [Cell(row[0].probe), *(Cell(_WORDS[one.status], _STYLES[one.status]) for one in row)]


def _summary(report: BackendReport) -> str:
    if not report.tried:
        return f"not available: {report.remark}"
    fine = len(report.outcomes) - len(report.different)
    return f"level {report.level}; {fine} of {len(report.outcomes)} probes ok; {report.remark}"
