"""Whether the audit log is whole, and the log as a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.base.errors import InvalidInput
from contracts.base.model import Model
from contracts.ports.artifacts import AnchorStore
from multi_agent.application.audit.anchors import read_anchors
from orchestrator.core.audit.chain import AuditRow, Verified, verify

if TYPE_CHECKING:
    from orchestrator.client.audit_log import AuditLog


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was checked."""

    verified: Verified
    anchors: int
    """How many anchors there are."""
    unanchored: int
    """Rows behind the last anchor: nobody outside knows of them yet."""


class ExportedRow(Model):
    """A line of an export."""

    chain: str
    number: int
    entry: str
    """The text that is hashed."""
    hash: str


async def verify_log(log: AuditLog, store: AnchorStore) -> AuditReport:
    """Check every row against the one before, the heads, and every anchor."""
    # Before the rows, so that none is behind them.
    anchors = await read_anchors(store)
    found = await log.verify(anchors)
    known: Counter[str] = Counter()
    for anchor in anchors:
        known |= Counter({chain: head.number for chain, head in anchor.heads.items()})
    behind = Counter({chain: head.number for chain, head in found.heads.items()}) - known
    return AuditReport(found, len(anchors), behind.total())


async def export_rows(log: AuditLog) -> AsyncIterator[ExportedRow]:
    """The whole log, by chain and number."""
    async for row in log.rows():
        yield ExportedRow(chain=row.chain, number=row.number, entry=row.entry, hash=row.hash)


def verify_export(lines: Iterable[bytes]) -> AuditReport:
    """Check an export by itself: a missing end does not show. Raises InvalidInput for another file."""
    return AuditReport(verify(_rows(lines)), 0, 0)


def _rows(lines: Iterable[bytes]) -> Iterator[AuditRow]:
    for number, line in enumerate(lines, start=1):
        try:
            one = ExportedRow.model_validate_json(line)
        except ValidationError:
            raise InvalidInput(f"line {number}: is no row of an export of the audit log") from None
        row = AuditRow(one.chain, one.number, 0.0, "", None, one.entry, one.hash)
        # What an export leaves out is what its text says.
        at, kind, workflow_id = map(row.said.get, ("at", "kind", "workflow_id"))
        yield row._replace(at=at or 0.0, kind=kind or "", workflow_id=workflow_id)
