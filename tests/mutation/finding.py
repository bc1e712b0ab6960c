"""All mutants of the protected rooms, and a random sample of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from tests.mutation.effects import effects
from tests.mutation.guards import guards
from tests.mutation.mutant import Mutant, numbered
from tests.mutation.source import Source

ROOMS = ("orchestrator", "agents", "contracts/runtime", "contracts/bus")
"""What decides, stores, carries and executes."""

_INSIDE = "agents/testing/harness/"
"""Runs in a sandbox, out of the reach of any map."""

PACKAGES = tuple(sorted({room.partition("/")[0] for room in ROOMS}))


def find(root: Path, rooms: Iterable[str] = ROOMS) -> list[Mutant]:
    """The mutants of these folders or files, in the order of the source."""
    return [mutant for file in _files(root, rooms) for mutant in mutants_of(root, file)]


def _files(root: Path, rooms: Iterable[str]) -> Iterator[str]:
    for room in rooms:
        place = root / room
        paths = [place] if place.is_file() else sorted(place.rglob("*.py"))
        names = (path.relative_to(root).as_posix() for path in paths)
        yield from (name for name in names if not name.startswith(_INSIDE))


def mutants_of(root: Path, file: str) -> list[Mutant]:
    source = Source(file, (root / file).read_bytes())
    return numbered([*guards(source), *effects(source)])


def sample(mutants: Iterable[Mutant], size: int, seed: int) -> list[Mutant]:
    """So many of them, in a random order that the seed and what they are called decide.

    A change of the source replaces only the mutants of what was changed.
    """
    return sorted(mutants, key=lambda one: sha256(f"{seed} {one.key}".encode()).digest())[:size]
