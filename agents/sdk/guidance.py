"""What a repository says about how to work in it: the files for agents nearest to what a task changes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from agents.sdk.changed_tree import read_at_most
from contracts.base.paths import covers

NAMES: Final = ("AGENTS.md", "CLAUDE.md", "GEMINI.md")
"""Of these, the first that a folder has (https://agents.md)."""
MOST: Final = 10
"""Files for one task: the root's, and of the others the deepest."""
DEPTH: Final = 3
"""How far files are followed that are included by others."""

_INCLUDE: Final = re.compile(
    r"^(?:[-*] +)?(?:see:? +)?@([^\s@]+?)[.,;]?[ \t\r]*$", re.IGNORECASE | re.MULTILINE
)
_INCLUDING_BYTES: Final = 100_000
"""A larger file is not looked through."""
FOR_PEOPLE: Final = ("CONTRIBUTING.md", "CONTRIBUTING.rst", ".github/CONTRIBUTING.md")
"""Of these, the first, where the root has none for agents."""
_BEGINNING: Final = 3_000
_HEADING: Final = re.compile(r"^#+ +(.+)$|^(\S.*)\n[=~^\"'-]{3,}$", re.MULTILINE)
_MOST_HEADINGS: Final = 30


def guidance_for(files: Collection[str], places: Iterable[str]) -> tuple[str, ...]:
    """The paths of what applies to these files, and to folders (ending in '/'), the farthest first."""
    places = tuple(places)
    root = _first(files, NAMES) or _first(files, FOR_PEOPLE)
    folders = sorted({path.rpartition("/")[0] for path in files if path.rpartition("/")[2] in NAMES} - {""})
    near = [folder for folder in folders if any(_concerns(f"{folder}/", place) for place in places)]
    deepest = sorted(near, key=lambda folder: folder.count("/"))[1 - MOST :]
    nested = [_first(files, [f"{folder}/{name}" for name in NAMES]) for folder in deepest]
    return tuple(path for path in (root, *nested) if path is not None)


def with_included(tree: Mapping[str, bytes], paths: Iterable[str]) -> tuple[str, ...]:
    """These files, each with those behind it that it includes, up to MOST in all.

    A line such as `@path` or `See @path.` includes a file of the tree, by its path from the folder of the
    file that says so.
    """
    named = list(paths)
    known = set(named)
    found: list[str] = []
    for path in named:
        found.append(path)
        behind = [path]
        for _ in range(DEPTH):
            behind = list(dict.fromkeys(one for path in behind for one in _included(tree, path)))
            behind = [one for one in behind if one not in known][: MOST - len(known)]
            known.update(behind)
            found += behind
    return tuple(found)


def beginning(text: str) -> str:
    """The beginning of a long text, to a line's end, and what the rest is about; a shorter one whole."""
    end = text.rfind("\n", 0, _BEGINNING) + 1 or _BEGINNING
    if len(text) <= _BEGINNING:
        return text
    rest = text[end:]
    headings = ["".join(found) for found in _HEADING.findall(rest)][:_MOST_HEADINGS]
    about = f", about: {'; '.join(headings)}" if headings else ""
    return (
        f"{text[:end].rstrip()}\n... {len(rest):,} more characters; `read` them where they concern you{about}"
    )


def _included(tree: Mapping[str, bytes], path: str) -> Iterator[str]:
    """The files that a file includes itself."""
    content = read_at_most(tree, path, _INCLUDING_BYTES) or b""
    for said in _INCLUDE.findall(content.decode("utf-8", "replace")):
        included = posixpath.normpath(posixpath.join(posixpath.dirname(path), said))
        if included in tree:
            yield included


def _concerns(folder: str, place: str) -> bool:
    """Whether the place lies in the folder, or the folder in the place."""
    return covers(folder, place) or covers(place, folder)


def _first(files: Collection[str], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in files), None)
