"""Files that are there for programs alone: no change of the tree, and not shown to who works in it."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.ports.trees import TreeChanges, TreeFile
from contracts.ports.workspace import PrivateFiles

_HIDDEN: Final = b"[private]"
_SHORTEST: Final = 12
_ASSIGNED: Final = re.compile(rb"^\s*(?:export\s+)?[\w.-]+\s*[=:](.*)$")
_WORD: Final = re.compile(rb"[^\s\"'`=,;]{%d,}" % _SHORTEST)
_DIGIT: Final = re.compile(rb"\d")
_LETTER: Final = re.compile(rb"[A-Za-z]")
_LARGEST: Final = 64_000
"""Bytes of a file in which keys are looked for; what is larger is rather data for tests."""
_MOST_WORDS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Privacy:
    """What of a workspace is private."""

    paths: Collection[str] = ()
    words: Sequence[bytes] = ()
    """What stands in those files and looks like a key or a password, the longest first."""
    copies: Collection[bytes] = ()
    """SHA-256 of those that have such words: a program may have copied them."""

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
        files = {path: file for path, file in changes.files.items() if not self._is_one(path, file)}
        return TreeChanges(changes.deleted, files)

    def _is_one(self, path: str, file: TreeFile) -> bool:
        return path in self.paths or hashlib.sha256(file.content).digest() in self.copies

    def holds(self, path: str) -> bool:
        """Whether a path is that of such a file."""
        return posixpath.normpath(path) in self.paths

    def hide(self, output: bytes) -> bytes:
        """What a program printed, without the words. Takes up to a second for a megabyte."""
        for word in self.words:
            output = output.replace(word, _HIDDEN)
        return output


NOTHING_PRIVATE: Final = Privacy()


def privacy_of(files: PrivateFiles | None) -> Privacy:
    """Read what is private in a folder. Blocking."""
    if files is None:
        return NOTHING_PRIVATE
    root = Path(files.folder)
    found = [Path(here, name) for here, _, names in os.walk(root) for name in names]
    words: set[bytes] = set()
    copies = set()
    for content in (file.read_bytes() for file in found if file.stat().st_size <= _LARGEST):
        if new := set(_words(content)):
            copies.add(hashlib.sha256(content).digest())
            words |= new
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    paths = frozenset(file.relative_to(root).as_posix() for file in found)
    return Privacy(paths, longest_first[:_MOST_WORDS], frozenset(copies))


def _words(content: bytes) -> Iterator[bytes]:
    """Yield what is long and has letters and digits: others would hide what is no secret."""
    for line in content.splitlines():
        if line.lstrip().startswith(b"#"):
            continue
        assigned = _ASSIGNED.match(line)
        for word in _WORD.findall(assigned[1] if assigned else line):
            if _DIGIT.search(word) and _LETTER.search(word):
                yield word
