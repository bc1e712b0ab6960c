"""Files that are there for programs alone: no change of the tree, and not shown to who works in it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.ports.trees import TreeChanges
from contracts.ports.workspace import PrivateFiles

_HIDDEN: Final = b"[private]"
_SHORTEST: Final = 12
_ASSIGNED: Final = re.compile(rb"^\s*(?:export\s+)?[\w.-]+\s*[=:](.*)$")
_WORD: Final = re.compile(rb"[^\s\"'`=,;]{%d,}" % _SHORTEST)
_DIGIT: Final = re.compile(rb"\d")
_LETTER: Final = re.compile(rb"[A-Za-z]")
_LARGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Privacy:
    """What of a workspace is private."""

    paths: Collection[str] = ()
    words: re.Pattern[bytes] | None = None
    """What stands in those files and looks like a key or a password."""

    def check(self, path: str) -> str:
        """Return a path that may be read or written. Raises InvalidInput for another."""
        if self.holds(path):
            raise InvalidInput(
                f"{path!r}: is a file of the user's own, which only programs see; leave it as it is"
            )
        return path

    def without(self, changes: TreeChanges) -> TreeChanges:
        """The changes of the tree's own files."""
        if not self.paths:
            return changes
        files = {path: file for path, file in changes.files.items() if path not in self.paths}
        return TreeChanges(changes.deleted, files)

    def holds(self, path: str) -> bool:
        """Whether a path is that of such a file."""
        return posixpath.normpath(path) in self.paths

    def hide(self, output: bytes) -> bytes:
        """What a program printed, without the words."""
        return self.words.sub(_HIDDEN, output) if self.words else output


NOTHING_PRIVATE: Final = Privacy()


def privacy_of(files: PrivateFiles | None) -> Privacy:
    """Read what is private in a folder. Blocking."""
    if files is None:
        return NOTHING_PRIVATE
    root = Path(files.folder)
    found = [Path(here, name) for here, _, names in os.walk(root) for name in names]
    words = {word for file in found for word in _words(file.read_bytes()[:_LARGEST])}
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return Privacy(
        frozenset(file.relative_to(root).as_posix() for file in found),
        re.compile(b"|".join(map(re.escape, longest_first))) if words else None,
    )


def _words(content: bytes) -> Iterator[bytes]:
    """Yield what is long and has letters and digits: others would hide what is no secret."""
    for line in content.splitlines():
        if line.lstrip().startswith(b"#"):
            continue
        assigned = _ASSIGNED.match(line)
        for word in _WORD.findall(assigned[1] if assigned else line):
            if _DIGIT.search(word) and _LETTER.search(word):
                yield word
