"""A mutant: one small change of one function, named so that it is found again when lines move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """What is done to a guard or to neighbouring effects."""

    ALWAYS = "always"
    """The condition counts as true."""

    NEVER = "never"
    """The condition counts as false, which removes a guard that returns early."""

    SWAPPED = "swapped"
    """Two neighbouring effects happen in the other order."""

    DROPPED = "dropped"
    """An effect does not happen."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `start` to `end` become `text`."""

    start: int
    end: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Mutant:
    file: str
    """From the root of the repository."""

    function: str
    """The qualified name of the function, empty at the top of a module."""

    kind: Kind
    source: str
    """The text that is changed, in one line."""

    reached: frozenset[int]
    """Lines: only what executes one of them can tell the mutant from the original."""

    edits: tuple[Edit, ...]
    nth: int = 0
    """Which of those that are the same in all of the above but lines and edits."""

    @property
    def key(self) -> str:
        """What names it in the ledger and in arguments."""
        number = f" #{self.nth + 1}" if self.nth else ""
        return f"{self.file}::{self.function}::{self.kind}::{self.source}{number}"

    def applied(self, text: bytes) -> bytes:
        """The file with the change. The edits do not overlap."""
        for edit in sorted(self.edits, key=lambda one: one.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return text


def numbered(mutants: Iterable[Mutant]) -> list[Mutant]:
    """The mutants, where those that are alike are told apart by their place."""
    seen: Counter[str] = Counter()
    found = []
    for mutant in mutants:
        found.append(replace(mutant, nth=seen[mutant.key]))
        seen[mutant.key] += 1
    return found
