"""The index: maps of trees, from entries that are made once for each content of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from artifacts.code_index.cache import EntryCache
from artifacts.code_index.drawing import draw, words_only
from artifacts.code_index.entry import Entry, make_entry
from artifacts.code_index.kinds import Kind, kind_of
from artifacts.code_index.query import Query
from artifacts.code_index.ranking import rank
from artifacts.code_index.symbols import can_read, missing_grammars, outline, suffix_of
from artifacts.code_index.words import counted
from artifacts.git.lru_cache import LruCache
from artifacts.store.listing import ListedFile
from contracts.base.errors import LimitExceeded
from contracts.base.processes.bounded_call import SMALL, bounded_call
from contracts.ports.code_index import MAP_TOKENS, RepositoryMap

LARGEST_FILE: Final = 500_000
"""In bytes. What is larger was rarely written by hand, and is known by its name only."""
MOST_FILES: Final = 20_000
"""Whose contents are looked at: those nearest to the root. The others are known by their names."""
_BATCH_BYTES: Final = 1_000_000
_BATCH_FILES: Final = 500
_KEPT_MAPS: Final = 16
READING_SECONDS: Final = 120.0
"""For one map; what is left by then is read for the next one."""


class FileSource(Protocol):
    """Where files come from; artifacts.store.listing has the contract."""

    async def list_files(self, commit: str) -> list[ListedFile]: ...

    async def read_files(self, oids: Sequence[str]) -> list[bytes]: ...


class _Wanted(NamedTuple):
    """A file whose content counts."""

    key: str
    """Of its entry: its content and how that is read."""
    file: ListedFile


class Contents(NamedTuple):
    """What is known of a commit's files."""

    entries: dict[str, Entry]
    """By path; of one that is not read there is an empty one."""
    unread: int
    """How many would have been, had there been time."""


Files = Sequence[tuple[str, bytes]]
"""Paths and contents."""


def read_entries(files: Files) -> list[Entry]:
    """Make the entries of files. For a bounded process."""
    return [
        make_entry(counted(content.decode("utf-8", "replace")), outline(path, content))
        for path, content in files
    ]


async def bounded_read(files: Files) -> list[Entry]:
    """As read_entries, in a bounded process whatever their size: what takes them apart is written in C.

    Raises LimitExceeded, Unavailable.
    """
    return await bounded_call(SMALL + 1, read_entries, files)


class Index:
    """CodeIndex of contracts.ports over a Git store.

    read: makes the entries of files; raises LimitExceeded for those that take too much.
    reading_seconds: how long one map may read what is new; something is always read.
    """

    def __init__(
        self,
        trees: FileSource,
        cache: EntryCache,
        *,
        read: Callable[[Files], Awaitable[list[Entry]]] = bounded_read,
        reading_seconds: float = READING_SECONDS,
    ) -> None:
        self._trees, self._cache, self._read = trees, cache, read
        self._reading_seconds = reading_seconds
        self._maps: LruCache[RepositoryMap] = LruCache(_KEPT_MAPS)

    async def map(self, commit: str, request: str, *, tokens: int = MAP_TOKENS) -> RepositoryMap:
        """See CodeIndex."""
        name = f"{commit} {tokens} {request}"
        known = self._maps.get(name)
        if known is None:
            entries, unread = await self.contents(commit)
            known = await asyncio.to_thread(make_map, entries, request, tokens)
            if unread:
                notes = (known.note, _UNREAD.format(f"{unread:,}"))
                return replace(known, note="; ".join(filter(None, notes)))
            self._maps.put(name, known)
        return known

    async def contents(self, commit: str) -> Contents:
        """What is known of all files of a commit; what is new is read and kept. Raises as `map`."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._reading_seconds
        files = await self._trees.list_files(commit)
        wanted = _wanted(files)
        entries = await asyncio.to_thread(self._cache.load, {one.key for one in wanted})
        fresh = {one.key: one for one in wanted if one.key not in entries}
        for batch in _batches(list(fresh.values())):
            contents = await self._trees.read_files([one.file.oid for one in batch])
            paths = [one.file.path for one in batch]
            made = await self._made(list(zip(paths, contents, strict=True)))
            found = {one.key: entry for one, entry in zip(batch, made, strict=True)}
            await asyncio.to_thread(self._cache.save, found)
            entries |= found
            if clock() > end:
                break
        if fresh:
            await asyncio.to_thread(self._cache.trim)
        read = {one.file.path: entries[one.key] for one in wanted if one.key in entries}
        unread = len(wanted) - len(read)
        return Contents({file.path: read.get(file.path) or _BY_NAME for file in files}, unread)

    async def _made(self, files: Files) -> list[Entry]:
        """The entries of files; one that takes too much to read is known by its name only."""
        try:
            return await self._read(files)
        except LimitExceeded:
            if len(files) == 1:
                return [_BY_NAME]
            # One by one: what takes too much costs its time once more, and the others nearly none.
            return [entry for one in files for entry in await self._made([one])]


_BY_NAME: Final = Entry()
_UNREAD: Final = "{} files are ranked by their names alone, since reading took too long; ask again to go on"


def make_map(files: Mapping[str, Entry], request: str, tokens: int) -> RepositoryMap:
    """Rank files and draw them."""
    asked = Query.of(request)
    order = rank(files, asked)
    return RepositoryMap(
        tuple(order), draw(order, files, asked, tokens), "; ".join(words_only(missing_grammars()))
    )


def _wanted(files: Sequence[ListedFile]) -> list[_Wanted]:
    code = [file for file in files if file.size <= LARGEST_FILE and kind_of(file.path) is not Kind.OTHER]
    nearest = sorted(code, key=lambda file: (file.path.count("/"), file.path))[:MOST_FILES]
    return [_Wanted(_key(file), file) for file in nearest]


def _key(file: ListedFile) -> str:
    suffix = suffix_of(file.path)
    return f"{file.oid}{suffix}{'' if can_read(suffix) else '-words'}"


def _batches(wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    batch: list[_Wanted] = []
    size = 0
    for one in wanted:
        if batch and (size + one.file.size > _BATCH_BYTES or len(batch) == _BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.file.size
    if batch:
        yield batch
