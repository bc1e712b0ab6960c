"""Entries of the index on disk, by the name of a file's content; what is oldest goes first."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from artifacts.code_index.entry import VERSION, Entry

CACHE_BYTES: Final = 256_000_000
_KEPT: Final = 0.8
"""Of the room, after what is oldest was deleted."""
_FOLDER_CHARACTERS: Final = 2


class EntryCache:
    """A folder of entries. Safe for several processes at once: an entry is written whole, and never changes.

    What cannot be read or written is left out: then it is made again. room: in bytes.
    """

    def __init__(self, folder: Path, room: int = CACHE_BYTES) -> None:
        self._folder, self._room = folder / f"v{VERSION}", room

    def load(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Those that are there."""
        found = {}
        for key in keys:
            with suppress(OSError, ValueError, struct.error):
                found[key] = Entry.from_bytes(self._place(key).read_bytes())
        return found

    def save(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries."""
        with suppress(OSError):
            for key, entry in entries.items():
                place = self._place(key)
                place.parent.mkdir(parents=True, exist_ok=True)
                draft = place.with_name(f".{uuid4().hex}")
                draft.write_bytes(entry.to_bytes())
                draft.replace(place)

    def trim(self) -> None:
        """Delete the oldest when all together are larger than the room."""
        with suppress(OSError):
            files = sorted(self._files())
            total = sum(file.size for file in files)
            if total <= self._room:
                return
            for file in files:
                if total <= self._room * _KEPT:
                    break
                file.path.unlink(missing_ok=True)
                total -= file.size

    def _place(self, key: str) -> Path:
        return self._folder / key[:_FOLDER_CHARACTERS] / key[_FOLDER_CHARACTERS:]

    def _files(self) -> Iterator[_Kept]:
        for folder in os.scandir(self._folder):
            for file in os.scandir(folder.path):
                with suppress(FileNotFoundError):
                    about = file.stat()
                    yield _Kept(about.st_mtime, about.st_size, Path(file.path))


class _Kept(NamedTuple):
    written: float
    size: int
    path: Path
