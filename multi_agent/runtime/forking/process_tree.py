"""Who started whom, from /proc."""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from pathlib import Path


def children_of(parents: Set[int]) -> set[int]:
    """The process ids of all children of these processes."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name in parentheses may hold anything; the parent is the second field after it.
            if int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1]) in parents:
                found.add(int(entry.name))
    return found
