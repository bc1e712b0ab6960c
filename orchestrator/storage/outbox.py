"""The outbox as it is stored: the dispatches of one batch to one shard share a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter
from sqlalchemy import Connection, select

from orchestrator.core.sharding import shard_of
from orchestrator.scheduling.batch import OutboxEntry
from orchestrator.storage import tables as t
from orchestrator.storage.rows import Row, json_text

_PARCEL = "parcel"
_CONTENT: TypeAdapter[tuple[OutboxEntry, ...]] = TypeAdapter(tuple[OutboxEntry, ...])


def grouped_rows(entries: Iterable[OutboxEntry]) -> list[list[OutboxEntry]]:
    """What shares a row."""
    alone = []
    together: dict[int, list[OutboxEntry]] = {}
    for entry in entries:
        if entry.kind == "dispatch":
            together.setdefault(shard_of(entry.workflow_id), []).append(entry)
        else:
            alone.append([entry])
    return [*alone, *together.values()]


def outbox_row(parcel: Sequence[OutboxEntry]) -> Row:
    """The values of an outbox row. A parcel's name is no entry's; it belongs where its first entry does."""
    first = parcel[0]
    if len(parcel) == 1:
        return (*first, None)
    return _row_name(parcel), _PARCEL, first.workflow_id, first.task_id, None, json_text(parcel)


def _row_name(parcel: Sequence[OutboxEntry]) -> str:
    return f"{_PARCEL}-{parcel[0].entry_id}"


def read_outbox(connection: Connection) -> list[Sequence[OutboxEntry]]:
    """What each row holds."""
    return [
        _CONTENT.validate_json(content) if content else [OutboxEntry(*entry)]
        for *entry, content in connection.execute(select(t.outbox))
    ]


class OutboxRows:
    """Tells when a row can be struck: once everything that it holds is done.

    Until then what is done comes back with it after a crash, and is done again.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, set[str]]] = {}

    def forget(self) -> None:
        """Start anew, before what is stored is read."""
        self._open.clear()

    def keep(self, parcels: Iterable[Sequence[OutboxEntry]]) -> None:
        """Remember rows that are stored."""
        for parcel in parcels:
            if len(parcel) > 1:
                names = {entry.entry_id for entry in parcel}
                self._open.update(dict.fromkeys(names, (_row_name(parcel), names)))

    def struck(self, settled: Iterable[str]) -> list[str]:
        """The rows that go now that these entries are done."""
        rows = []
        for name in settled:
            row, left = self._open.pop(name, (name, {name}))
            left.discard(name)
            if not left:
                rows.append(row)
        return rows
