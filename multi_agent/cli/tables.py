"""Tables, and lines that change in place: the one place that uses rich.

Cells and lines may hold text from outside. It is made visible before it is measured, so that columns stay
columns, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from contracts.base.text import visible_line


class Cell(NamedTuple):
    """Text in a table, or a line of its own."""

    text: str
    style: str = ""
    """As rich has it, such as "bold red"."""


class Column(NamedTuple):
    """A column of a table."""

    name: str
    stretches: bool = False
    """Whether it takes the room that is left, and cuts off what does not fit."""


class Terminal:
    """Where a command prints tables: stdout or stderr, whether a terminal or not."""

    def __init__(self, *, err: bool = False) -> None:
        self._console = Console(stderr=err)
        self._live: Live | None = None
        self._status: Status | None = None

    @property
    def is_read(self) -> bool:
        """Whether a person looks at it."""
        return self._console.is_terminal

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it, and lines can be drawn in place."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def print_line(self, text: str, style: str = "") -> None:
        """Print one line, as long as it is; the style counts on a terminal only."""
        self._console.print(_text(Cell(text, style if self.is_terminal else "")), soft_wrap=True)

    def print_table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print a table."""
        self._console.print(_table(columns, rows))

    def draw_table(
        self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], note: Cell | None = None
    ) -> None:
        """Draw a table, with a line below it, in the place of the one that was drawn before."""
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        table = _table(columns, rows)
        self._live.update(table if note is None else Group(table, _text(note)), refresh=True)

    def show_activity(self, text: str) -> None:
        """On a terminal, show what goes on, in the place of what was shown before."""
        if not self.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status(_text(Cell(text)))
            self._status.start()
        self._status.update(_text(Cell(text)))

    def close(self) -> None:
        """Leave the last drawn table on the screen; what went on goes away."""
        if self._live is not None:
            self._live.stop()
        if self._status is not None:
            self._status.stop()
        self._live = self._status = None


def _table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    stretches = any(column.stretches for column in columns)
    table = Table(box=None, padding=(0, 1), header_style="dim", expand=stretches)
    for column in columns:
        if column.stretches:
            table.add_column(column.name, overflow="ellipsis", no_wrap=True, ratio=1)
        else:
            table.add_column(column.name, no_wrap=True)
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _text(cell: Cell) -> Text:
    return Text(visible_line(cell.text), cell.style)
