"""What a repository says about how to work in it: the files for agents nearest to what a task changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from contracts.base.paths import covers

NAMES: Final = ("AGENTS.md", "CLAUDE.md", "GEMINI.md")
"""Of these, the first that a folder has (https://agents.md)."""
MOST: Final = 10
"""Files for one task: the root's, and of the others the deepest."""

_FOR_PEOPLE: Final = ("CONTRIBUTING.md", "CONTRIBUTING.rst", ".github/CONTRIBUTING.md")
"""Of these, the first, where the root has none for agents."""


def guidance_for(files: Collection[str], places: Iterable[str]) -> tuple[str, ...]:
    """The paths of what applies to these files, and to folders (ending in '/'), the farthest first."""
    places = tuple(places)
    root = _first(files, NAMES) or _first(files, _FOR_PEOPLE)
    folders = sorted({path.rpartition("/")[0] for path in files if path.rpartition("/")[2] in NAMES} - {""})
    near = [folder for folder in folders if any(_concerns(f"{folder}/", place) for place in places)]
    deepest = sorted(near, key=lambda folder: folder.count("/"))[1 - MOST :]
    nested = [_first(files, [f"{folder}/{name}" for name in NAMES]) for folder in deepest]
    return tuple(path for path in (root, *nested) if path is not None)


def _concerns(folder: str, place: str) -> bool:
    """Whether the place lies in the folder, or the folder in the place."""
    return covers(folder, place) or covers(place, folder)


def _first(files: Collection[str], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in files), None)
