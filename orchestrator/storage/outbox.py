"""The outbox as it is stored: the dispatches of one batch to one shard share a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter
from sqlalchemy import Connection, select

from orchestrator.core.sharding import shard_of
from orchestrator.scheduling.batch import OutboxEntry, OutboxKind
from orchestrator.storage import tables as t
from orchestrator.storage.rows import Row, json_text

_DISPATCHES = "dispatches"
"""The kind of a row that holds several entries of the kind DISPATCH."""
_CONTENT: TypeAdapter[tuple[OutboxEntry, ...]] = TypeAdapter(tuple[OutboxEntry, ...])


def group_rows(entries: Iterable[OutboxEntry]) -> list[list[OutboxEntry]]:
    """Group the entries that share a row."""
    alone = []
    together: dict[int, list[OutboxEntry]] = {}
    for entry in entries:
        if entry.kind is OutboxKind.DISPATCH:
            together.setdefault(shard_of(entry.workflow_id), []).append(entry)
        else:
            alone.append([entry])
    return [*alone, *together.values()]


def outbox_row(entries: Sequence[OutboxEntry]) -> Row:
    """The values of a row. A row of several entries has an id of its own, and the workflow of the first."""
    first = entries[0]
    if len(entries) == 1:
        return first.entry_id, first.kind.value, first.workflow_id, first.task_id, first.commit, None
    return _row_id(entries), _DISPATCHES, first.workflow_id, first.task_id, None, json_text(entries)


def _row_id(entries: Sequence[OutboxEntry]) -> str:
    return f"{_DISPATCHES}-{entries[0].entry_id}"


def read_outbox(connection: Connection) -> list[Sequence[OutboxEntry]]:
    """Read the entries of each row."""
    return [
        _CONTENT.validate_json(content) if content else [OutboxEntry(entry_id, OutboxKind(kind), *rest)]
        for entry_id, kind, *rest, content in connection.execute(select(t.outbox))
    ]


class OutboxRows:
    """Tells which rows can be deleted: those with all entries delivered.

    Until then the delivered entries of a row come back with it after a crash, and are delivered again.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, set[str]]] = {}

    def clear(self) -> None:
        """Start anew, before the stored rows are read."""
        self._open.clear()

    def add(self, rows: Iterable[Sequence[OutboxEntry]]) -> None:
        """Add rows that are stored."""
        for entries in rows:
            if len(entries) > 1:
                names = {entry.entry_id for entry in entries}
                self._open.update(dict.fromkeys(names, (_row_id(entries), names)))

    def complete(self, delivered: Iterable[str]) -> list[str]:
        """The ids of the rows that can be deleted now that these entries were delivered."""
        rows = []
        for name in delivered:
            row, left = self._open.pop(name, (name, {name}))
            left.discard(name)
            if not left:
                rows.append(row)
        return rows
