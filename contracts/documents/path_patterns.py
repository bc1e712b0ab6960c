"""Patterns of paths, read as in a `.gitignore` file."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from contracts.base.paths import MAX_NAMES, MAX_PATH_BYTES
from contracts.base.text import first_invisible

_ANY: Final = "**"


class _Pattern(NamedTuple):
    names: tuple[re.Pattern[str] | None, ...]
    """What each name must look like; None for any number of folders."""
    folder: bool
    """Whether only what lies in a folder of that name is meant."""


def pattern_fault(pattern: str) -> str | None:
    """Say what is wrong with a pattern; None for one that can be used."""
    if not pattern.strip("/") or len(pattern.encode("utf-8", "replace")) > MAX_PATH_BYTES:
        return f"must have 1 to {MAX_PATH_BYTES} bytes"
    if pattern.startswith("!") or "\\" in pattern:
        return "'!' at the start and backslashes have no meaning here"
    if (hidden := first_invisible(pattern)) or not pattern.isprintable():
        return f"{hidden or 'a control character'} cannot be seen"
    names = pattern.strip("/").split("/")
    if len(names) > MAX_NAMES or {"", ".", ".."} & set(names):
        return f"must have at most {MAX_NAMES} names, none of them empty, '.' or '..'"
    return None


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern names a file, or a folder above it; upper and lower case are one.

    `*` and `?` stay within a name, `**` is any number of folders, `/` at the end means what is inside a
    folder. A pattern with a `/` elsewhere counts from the root, any other is a name in any folder.
    """
    wanted, folder = _read(pattern)
    names = _folded(path).split("/")
    places = _skipped({0}, wanted)
    for position, name in enumerate(names):
        places = _skipped({reached for place in places for reached in _next(wanted, place, name)}, wanted)
        if len(wanted) in places and not (folder and position == len(names) - 1):
            return True
    return False


def _next(wanted: tuple[re.Pattern[str] | None, ...], place: int, name: str) -> list[int]:
    """Where in a pattern one may be after a name."""
    if place == len(wanted):
        return []
    part = wanted[place]
    if part is None:
        return [place]
    return [place + 1] if part.match(name) else []


def _skipped(places: set[int], wanted: tuple[re.Pattern[str] | None, ...]) -> set[int]:
    """Add the places behind any number of folders that are none."""
    found = set(places)
    for place, part in enumerate(wanted):
        if place in found and part is None:
            found.add(place + 1)
    return found


@lru_cache(maxsize=256)
def _read(pattern: str) -> _Pattern:
    inside = pattern.endswith("/") or pattern.endswith(f"/{_ANY}")
    core = _folded(pattern.rstrip("/").removesuffix(f"/{_ANY}"))
    anchored = "/" in core or (inside and pattern.endswith(_ANY))
    names = core.strip("/").split("/")
    return _Pattern(
        (*(() if anchored else (None,)), *(None if name == _ANY else _one(name) for name in names)), inside
    )


def _one(name: str) -> re.Pattern[str]:
    # Brackets are usual in names of files; `translate` makes an expression that takes linear time.
    return re.compile(fnmatch.translate(name.replace("[", "[[]")))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
