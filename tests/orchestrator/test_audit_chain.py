"""The chains of the audit log: whatever is changed in rows that were written is found."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.audit.chain import FIRST_HASH, Anchor, AuditRow, Head, link, verify
from orchestrator.core.audit.entries import MOST_FACT, AuditEntry, AuditKind, Fact, Via, shard_chain

CHAINS = ("commands", shard_chain(3), shard_chain(41))
Change = Callable[[list[AuditRow], int], list[AuditRow]]
Case = tuple[list[AuditRow], list[AuditRow], int, str]


def written(counts: tuple[int, ...]) -> list[AuditRow]:
    """Chains of so many rows, by chain and number."""
    rows = []
    for chain, count in zip(CHAINS, counts, strict=True):
        head = Head()
        for number in range(count):
            facts: dict[str, Fact] = {"command_id": f"c{number}", "usd": 1.5, "left": None}
            entry = AuditEntry(AuditKind.APPLIED, "ann", Via.COMMAND, f"w-{number % 3}", None, facts)
            rows.append(link(chain, head, entry, 1_000.0 + number))
            head = Head(number + 1, rows[-1].hash)
    return rows


def heads_of(rows: list[AuditRow]) -> dict[str, Head]:
    return {row.chain: Head(row.number, row.hash) for row in rows}


def hashed_again(rows: list[AuditRow]) -> list[AuditRow]:
    """The rows as one who knows how hashes are made would leave them."""
    heads: dict[str, Head] = {}
    made = []
    for row in rows:
        head = heads.get(row.chain, Head())
        text = json.dumps({**row.said, "number": head.number + 1}, sort_keys=True, separators=(",", ":"))
        new = hashlib.sha256(f"{head.hash}\n{text}".encode()).hexdigest()
        made.append(row._replace(number=head.number + 1, entry=text, hash=new))
        heads[row.chain] = Head(head.number + 1, new)
    return made


def test_what_was_written_is_sound_and_its_hashes_can_be_made_by_hand() -> None:
    rows = written((3, 0, 2))
    found = verify(rows, heads_of(rows), [Anchor("the anchor", heads_of(rows))])
    assert (found.rows, found.bad, found.heads) == (5, [], heads_of(rows))
    first = '{"at":1000.0,"chain":"commands","facts":{"command_id":"c0","usd":1.5},"kind":"command.applied",'
    first += '"number":1,"via":"command","who":"ann","workflow_id":"w-0"}'
    assert rows[0].entry == first
    assert rows[0].hash == hashlib.sha256(f"{FIRST_HASH}\n{first}".encode()).hexdigest()


def test_a_text_from_outside_is_ascii_and_a_long_one_is_a_hash() -> None:
    facts: dict[str, Fact] = {"hostile": "a\x00\x1b[2J\ud800é\n", "long": "x" * (MOST_FACT + 1)}
    row = link("commands", Head(), AuditEntry("key.added", "ann", Via.PROGRAM, facts=facts), 1.0)
    assert row.entry.isascii()
    assert row.entry.isprintable()
    assert row.said["facts"]["long"] == "sha256:" + hashlib.sha256(b"x" * (MOST_FACT + 1)).hexdigest()
    assert verify([row], heads_of([row])).bad == []


def removed(rows: list[AuditRow], at: int) -> list[AuditRow]:
    return rows[:at] + rows[at + 1 :]


def swapped(rows: list[AuditRow], at: int) -> list[AuditRow]:
    """Two neighbours of a chain in each other's places; the only row of a chain goes."""
    chain = rows[at].chain
    other = next((n for n in (at + 1, at - 1) if 0 <= n < len(rows) and rows[n].chain == chain), None)
    if other is None:
        return removed(rows, at)
    changed = list(rows)
    changed[at], changed[other] = (
        rows[other]._replace(number=rows[at].number),
        rows[at]._replace(number=rows[other].number),
    )
    return changed


def cut(rows: list[AuditRow], at: int) -> list[AuditRow]:
    """Without the row and all behind it in its chain."""
    return [row for row in rows if row.chain != rows[at].chain or row.number < rows[at].number]


def doubled(rows: list[AuditRow], at: int) -> list[AuditRow]:
    """With the last row of the chain once more behind it."""
    last = [row for row in rows if row.chain == rows[at].chain][-1]
    place = rows.index(last) + 1
    return [*rows[:place], last._replace(number=last.number + 1), *rows[place:]]


def replaced(rows: list[AuditRow], at: int, row: AuditRow) -> list[AuditRow]:
    return [*rows[:at], row, *rows[at + 1 :]]


def by_bob(row: AuditRow) -> str:
    return row.entry.replace('"ann"', '"bob"')


CHANGES: dict[str, Change] = {
    "removed": removed,
    "swapped": swapped,
    "cut": cut,
    "doubled": doubled,
    "another text": lambda rows, at: replaced(rows, at, rows[at]._replace(entry=by_bob(rows[at]))),
    "no text": lambda rows, at: replaced(rows, at, rows[at]._replace(entry="")),
    "another hash": lambda rows, at: replaced(rows, at, rows[at]._replace(hash=rows[at].hash[::-1])),
    "another time": lambda rows, at: replaced(rows, at, rows[at]._replace(at=rows[at].at + 0.001)),
    "another kind": lambda rows, at: replaced(rows, at, rows[at]._replace(kind="command.asked")),
    "another workflow": lambda rows, at: replaced(rows, at, rows[at]._replace(workflow_id="w-9")),
    "no workflow": lambda rows, at: replaced(rows, at, rows[at]._replace(workflow_id=None)),
}


@st.composite
def tampered(draw: st.DrawFn) -> Case:
    """(rows, changed rows, index of the first row that was touched, how)."""
    rows = written(draw(st.tuples(*[st.integers(0, 6)] * 3).filter(any)))
    at = draw(st.integers(0, len(rows) - 1))
    how = draw(st.sampled_from(sorted(CHANGES)))
    return rows, CHANGES[how](rows, at), at, how


@given(tampered())
def test_every_change_is_found_at_its_first_row(case: Case) -> None:
    rows, changed, at, how = case
    found = verify(changed, heads_of(rows))
    assert [one.chain for one in found.bad] == [rows[at].chain], how
    [bad] = found.bad
    numbers = {row.number for row in rows if row.chain == rows[at].chain}
    allowed = {rows[at].number, rows[at].number - 1} if how == "swapped" else {rows[at].number}
    assert bad.number in ({max(numbers) + 1} if how == "doubled" else allowed), how


@given(tampered())
def test_who_makes_all_hashes_again_is_found_by_an_anchor(case: Case) -> None:
    rows, changed, at, how = case
    if how not in {"removed", "cut", "another text"}:
        return
    forged = hashed_again(changed)
    assert verify(forged, heads_of(forged)).bad == [], "without an anchor nothing shows it"
    found = verify(forged, heads_of(forged), [Anchor("the anchor", heads_of(rows))])
    assert [one.chain for one in found.bad] == [rows[at].chain], how
    assert "the anchor" in found.bad[0].why


def test_an_older_anchor_shows_what_a_newer_one_has_taken_over() -> None:
    rows = written((4, 0, 0))
    forged = hashed_again(removed(written((6, 0, 0)), 1))
    anchors = [Anchor("the first", heads_of(rows)), Anchor("the second", heads_of(forged))]
    [bad] = verify(forged, heads_of(forged), anchors).bad
    assert (bad.number, bad.why) == (4, "the first has another hash of it")


def test_a_long_log_takes_time_by_its_length_alone() -> None:
    rows = written((20_000, 0, 0))
    anchors = [Anchor(f"{n}", heads_of(rows[:n])) for n in range(1, 1_000)]
    begun = time.process_time()
    assert verify(rows, heads_of(rows), anchors).bad == []
    assert time.process_time() - begun < 5.0, "a tenth of this is usual"


def test_rows_behind_an_anchor_are_sound() -> None:
    rows = written((4, 2, 0))
    early = [row for row in rows if row.number <= 2]
    assert verify(rows, heads_of(rows), [Anchor("the anchor", heads_of(early))]).bad == []
    [bad] = verify(rows, heads_of(early)).bad
    assert (bad.number, bad.why) == (3, "row 3 is beyond the head")
