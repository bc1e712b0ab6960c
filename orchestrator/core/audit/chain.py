"""Chains of hashes: each row holds the hash of its text and of the row before. No I/O.

The text of an entry is JSON in ASCII with sorted keys and no spaces, and stored as it was hashed, so that
nobody who checks it needs to write JSON the same way. The hash of a row is the SHA-256 of the hash before it
(64 zeros for the first), a line feed, and the text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from orchestrator.core.audit.entries import AuditEntry, AuditKind, plain_fact

FIRST_HASH: Final = "0" * 64
_REPEATED: Final = ("chain", "number", "at", "kind", "workflow_id")
"""The columns that repeat the text, in their order."""


class Head(NamedTuple):
    """The newest row of a chain; number 0 of one that has none."""

    number: int = 0
    hash: str = FIRST_HASH


class AuditRow(NamedTuple):
    """One row as it is stored. `at`, `kind` and `workflow_id` repeat the text, for queries."""

    chain: str
    number: int
    """From 1, without a gap."""
    at: float
    """Seconds since 1970."""
    kind: str
    workflow_id: str | None
    entry: str
    """The text that is hashed."""
    hash: str

    @property
    def said(self) -> dict[str, Any]:
        """What the text says; {} where it cannot be read."""
        try:
            found = from_json(self.entry)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of what the text says."""
        found = self.said.get("facts")
        return found if isinstance(found, dict) else {}


def row_hash(previous: str, entry: str) -> str:
    """The hash of a row behind the one with the hash `previous`."""
    return hashlib.sha256(f"{previous}\n{entry}".encode()).hexdigest()


def link(chain: str, head: Head, entry: AuditEntry, at: float) -> AuditRow:
    """The row of an entry behind the head of a chain."""
    number = head.number + 1
    said = {
        "at": at,
        "chain": chain,
        "facts": {name: plain_fact(fact) for name, fact in entry.facts.items() if fact is not None},
        "kind": str(entry.kind),
        "number": number,
        "task_id": entry.task_id,
        "via": str(entry.via),
        "who": plain_fact(entry.who),
        "workflow_id": entry.workflow_id,
    }
    given = {name: value for name, value in said.items() if value is not None}
    text = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return AuditRow(chain, number, at, str(entry.kind), entry.workflow_id, text, row_hash(head.hash, text))


@dataclass(frozen=True, slots=True)
class Anchor:
    """The heads of all chains at one moment, as they were told to the outside."""

    name: str
    """Where it was found, in words."""
    heads: Mapping[str, Head]


@dataclass(frozen=True, slots=True)
class BadRow:
    """The first row of a chain that is not as it was written."""

    chain: str
    number: int
    why: str


@dataclass(slots=True)
class Verified:
    """What was looked at, and what is wrong."""

    rows: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    """The last good row of each chain."""
    bad: list[BadRow] = field(default_factory=list)
    """The first bad row of each chain that has one."""
    open_effects: dict[str, AuditRow] = field(default_factory=dict)
    """By their ids: effects that were intended, and nothing says how they ended."""


def verify(
    rows: Iterable[AuditRow], heads: Mapping[str, Head] | None = None, anchors: Iterable[Anchor] = ()
) -> Verified:
    """Check rows, which must come by chain and number.

    heads: where each chain must end; None when that is unknown, so that only anchors show a missing end.
    anchors: what must still be in the chains.
    """
    found = Verified()
    marks = _marks(anchors)
    bad: dict[str, BadRow] = {}
    for row in rows:
        found.rows += 1
        if row.chain in bad:
            continue
        head = found.heads.get(row.chain, Head())
        if why := _problem(row, head) or _moved(row, marks):
            bad[row.chain] = BadRow(row.chain, min(row.number, head.number + 1), why)
        else:
            found.heads[row.chain] = Head(row.number, row.hash)
            if row.kind.startswith("effect."):
                _follow(row, found.open_effects)
    for chain, number, why in _ends(found.heads, heads, marks):
        bad.setdefault(chain, BadRow(chain, number, why))
    found.bad = sorted(bad.values(), key=lambda one: (one.chain, one.number))
    return found


def _problem(row: AuditRow, head: Head) -> str | None:
    """What is wrong with a row behind this head."""
    if row.number != head.number + 1:
        what = "is missing" if row.number > head.number + 1 else "is out of order"
        return f"row {head.number + 1} {what}: row {row.number} follows row {head.number}"
    if row.hash != row_hash(head.hash, row.entry):
        return "its hash is not that of its text and of the row before"
    said = tuple(map(row.said.get, _REPEATED))
    return None if said == row[:5] else "its columns are not what its text says"


def _follow(row: AuditRow, effects: dict[str, AuditRow]) -> None:
    name = str(row.facts.get("effect_id"))
    if row.kind == AuditKind.INTENDED:
        effects[name] = row
    else:
        effects.pop(name, None)


_Marks = dict[str, dict[int, list[tuple[str, str]]]]
"""(hash, name of the anchor) by number, by chain."""


def _marks(anchors: Iterable[Anchor]) -> _Marks:
    marks: _Marks = {}
    for anchor in anchors:
        for chain, head in anchor.heads.items():
            at = marks.setdefault(chain, {}).setdefault(head.number, [])
            if head.number and (not at or at[-1][0] != head.hash):
                at.append((head.hash, anchor.name))
    return marks


def _moved(row: AuditRow, marks: _Marks) -> str | None:
    for expected, name in marks.get(row.chain, {}).get(row.number, ()):
        if expected != row.hash:
            return f"{name} has another hash of it"
    return None


def _ends(
    found: Mapping[str, Head], heads: Mapping[str, Head] | None, marks: _Marks
) -> Iterator[tuple[str, int, str]]:
    """(chain, number, why) of chains that end elsewhere than they should."""
    for chain, at in marks.items():
        end, most = found.get(chain, Head()).number, max(at)
        if most > end:
            yield chain, end + 1, f"row {end + 1} is missing: {at[most][0][1]} knows {most} rows"
    for chain in sorted({*found, *heads} if heads is not None else ()):
        last, told = found.get(chain, Head()), (heads or {}).get(chain, Head())
        if last.number < told.number:
            yield chain, last.number + 1, f"row {last.number + 1} is missing: the head is row {told.number}"
        elif last.number > told.number:
            yield chain, told.number + 1, f"row {told.number + 1} is beyond the head"
        elif last.hash != told.hash:
            yield chain, last.number, "the head has another hash of it"
