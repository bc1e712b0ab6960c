"""Appends to the audit log and reads it. Rows are only ever inserted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, insert, or_, select, update

from orchestrator.core.audit.chain import AuditRow, Head, link
from orchestrator.core.audit.entries import AuditEntry
from orchestrator.storage import tables as t
from orchestrator.storage.sql.database import insert_missing

_PAGE = 5_000
_c = t.audit.c
_COLUMNS = (_c.chain, _c.number, _c.at, _c.kind, _c.workflow_id, _c.entry, _c.hash)


def append_audit(connection: Connection, entries: Iterable[tuple[str, AuditEntry]], at: float) -> None:
    """Append (chain, entry) in the caller's transaction, which is that of what they record.

    Whoever appends to the same chain meanwhile waits for the end of this transaction, in which this must be
    called once at most: two transactions that lock several chains must do it in the same order.
    """
    by_chain: dict[str, list[AuditEntry]] = defaultdict(list)
    for chain, entry in entries:
        by_chain[chain].append(entry)
    # In order, so that two transactions never wait for each other.
    for chain in sorted(by_chain):
        head = _locked_head(connection, chain)
        rows = []
        for entry in by_chain[chain]:
            row = link(chain, head, entry, at)
            head = Head(row.number, row.hash)
            rows.append(row._asdict())
        connection.execute(insert(t.audit), rows)
        h = t.audit_heads
        connection.execute(update(h).where(h.c.chain == chain).values(number=head.number, hash=head.hash))


def _locked_head(connection: Connection, chain: str) -> Head:
    """The head of a chain, which is made where it is missing; SQLite has one writer anyway."""
    h = t.audit_heads.c
    query = select(h.number, h.hash).where(h.chain == chain).with_for_update()
    found = connection.execute(query).first()
    if found is None:
        insert_missing(connection, t.audit_heads, {"chain": chain, **Head()._asdict()})
        found = connection.execute(query).one()
    return Head(*found)


def read_heads(connection: Connection) -> dict[str, Head]:
    """The head of each chain that has one."""
    h = t.audit_heads.c
    rows = connection.execute(select(h.chain, h.number, h.hash).order_by(h.chain))
    return {chain: Head(number, text) for chain, number, text in rows}


def settle_heads(connection: Connection) -> dict[str, Head]:
    """The heads, in a transaction that writes: SQLite brings nothing to the disk for one that does not."""
    if connection.dialect.name == "sqlite":
        connection.execute(update(t.audit_heads).values(number=t.audit_heads.c.number))
    return read_heads(connection)


def read_rows(connection: Connection) -> Iterator[AuditRow]:
    """All rows by chain and number, some thousand at a time."""
    page = read_page(connection, None)
    while page:
        yield from page
        page = read_page(connection, page[-1])


def read_page(connection: Connection, after: AuditRow | None) -> list[AuditRow]:
    """Some thousand rows by chain and number, those behind one or the first; [] at the end."""
    query = select(*_COLUMNS).order_by(_c.chain, _c.number).limit(_PAGE)
    if after is not None:
        same = (_c.chain == after.chain) & (_c.number > after.number)
        query = query.where(or_(_c.chain > after.chain, same))
    return [AuditRow._make(row) for row in connection.execute(query)]


def read_newest(
    connection: Connection, limit: int, *, workflow_id: str | None = None, kind: str | None = None
) -> list[AuditRow]:
    """The newest rows, oldest first; of one workflow or kind, or of all."""
    query = select(*_COLUMNS).order_by(_c.at.desc(), _c.chain.desc(), _c.number.desc()).limit(limit)
    if workflow_id is not None:
        query = query.where(_c.workflow_id == workflow_id)
    if kind is not None:
        query = query.where(_c.kind == kind)
    return [AuditRow._make(row) for row in connection.execute(query)][::-1]
