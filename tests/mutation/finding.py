"""All mutants of the protected rooms, and a random sample of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.mutation.effects import effects
from tests.mutation.guards import guards
from tests.mutation.mutant import Mutant, numbered
from tests.mutation.source import Source

ROOMS = ("orchestrator", "agents/worker", "agents/sdk", "contracts/runtime", "contracts/bus")
"""What decides, stores, carries and executes."""

PACKAGES = tuple(sorted({room.partition("/")[0] for room in ROOMS}))


def find(root: Path, rooms: Iterable[str] = ROOMS) -> list[Mutant]:
    """The mutants of these folders or files, in the order of the source."""
    return [mutant for file in _files(root, rooms) for mutant in mutants_of(root, file)]


def _files(root: Path, rooms: Iterable[str]) -> Iterator[str]:
    for room in rooms:
        place = root / room
        paths = [place] if place.is_file() else sorted(place.rglob("*.py"))
        yield from (path.relative_to(root).as_posix() for path in paths)


def mutants_of(root: Path, file: str) -> list[Mutant]:
    source = Source(file, (root / file).read_bytes())
    return numbered([*guards(source), *effects(source)])


def sample(mutants: Sequence[Mutant], size: int, seed: int) -> list[Mutant]:
    """So many of them, chosen by the seed and by what they are called, in a random order."""
    ordered = sorted(mutants, key=lambda one: one.key)
    return random.Random(seed).sample(ordered, min(size, len(ordered)))
