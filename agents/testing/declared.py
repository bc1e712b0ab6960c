"""What the source of tests says: which tests there are, and which may be skipped.

A skip or an expected failure that the source does not promise is a failure. The source is read outside of the
sandbox: the code under test shares a process with its tests, where it can raise what they could raise, from
frames that look like theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """When a test is ended by a skip, or by a failure that is expected."""

    COLLECT = "collect"
    """While its file is read."""
    SETUP = "setup"
    """Before it starts."""
    CALL = "call"
    """While it runs; what may happen then may also happen before."""


@dataclass(frozen=True, slots=True)
class SkipPromises:
    """The tests that may be skipped, and when."""

    found: frozenset[tuple[str, Phase]] = frozenset()
    """(a test's id, or the beginning of ids: a class, a suite, a file, a folder; when)."""

    def allow(self, test_id: str, phase: Phase) -> bool:
        """Whether the test, or with COLLECT the file, may be skipped in this phase."""
        allowed = {phase, Phase.CALL} if phase is Phase.SETUP else {phase}
        return any((part, when) in self.found for part in _beginnings(test_id) for when in allowed)


def _beginnings(test_id: str) -> Iterator[str]:
    path, _, name = test_id.partition("[")[0].partition("::")
    for separator in ("::", " > "):
        words = name.split(separator)
        for count in range(len(words), 0, -1):
            yield f"{path}::{separator.join(words[:count])}"
    yield path
    folders = path.split("/")[:-1]
    for count in range(len(folders), -1, -1):
        yield "".join(f"{folder}/" for folder in folders[:count])


@dataclass(frozen=True, slots=True)
class DeclaredTests:
    """What some files say about the tests in them; ids are without parameters."""

    expected: frozenset[str] = frozenset()
    """Ids of tests that must run."""
    failable: frozenset[str] = frozenset()
    """Ids of those that always fail when their first assertion fails.

    The assertion must be at the top level of the test, with no statement before it that may leave the test.
    """
    plain: frozenset[str] = frozenset()
    """Ids of those that run as they are written: nothing but pytest's marks decorates them."""
    skips: SkipPromises = field(default_factory=SkipPromises)
