"""What is kept of a file: numbers to rank it by, and its symbols to show. Depends on its content alone."""

from __future__ import annotations

import json
import struct
import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self
from zlib import crc32

from artifacts.code_index.symbols import EMPTY, Outline, Symbol
from artifacts.code_index.words import number, words_of

VERSION: Final = 1
"""Of the bytes, and of what is read from a file; a cache has a folder for each."""

_HEAD: Final = struct.Struct("<7I")
"""A checksum of the rest, the words of the file, and the sizes of the five groups."""
_MOST: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Counts:
    """How often words or names stand in a file, by their numbers."""

    numbers: array[int] = field(default_factory=lambda: array("I"))
    """Sorted."""
    times: array[int] = field(default_factory=lambda: array("H"))

    @classmethod
    def of(cls, counts: Counter[str]) -> Self:
        by_number: Counter[int] = Counter()
        for word, times in counts.items():
            by_number[number(word)] += times
        rows = sorted(by_number.items())
        return cls(array("I", [row[0] for row in rows]), array("H", [min(row[1], _MOST) for row in rows]))

    def __contains__(self, wanted: object) -> bool:
        return isinstance(wanted, int) and self[wanted] > 0

    def __getitem__(self, wanted: int) -> int:
        """How often; 0 for what is not there."""
        at = bisect_left(self.numbers, wanted)
        return self.times[at] if at < len(self.numbers) and self.numbers[at] == wanted else 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the index."""

    length: int = 0
    """Words in it."""
    words: Counts = field(default_factory=Counts)
    symbol_words: Counts = field(default_factory=Counts)
    """Words of the names that it defines."""
    defines: Counts = field(default_factory=Counts)
    """Names."""
    uses: Counts = field(default_factory=Counts)
    """Names."""
    imports: Counts = field(default_factory=Counts)
    """Names of modules."""
    drawn: bytes = b"[]"
    """Its symbols, as JSON."""

    def symbols(self) -> list[Symbol]:
        """What it defines, in the order of the lines."""
        return [Symbol(*row) for row in json.loads(self.drawn)]

    def to_bytes(self) -> bytes:
        """As it is kept in a file."""
        groups = (self.words, self.symbol_words, self.defines, self.uses, self.imports)
        lists = [_little(numbers) for group in groups for numbers in (group.numbers, group.times)]
        body = b"".join([*lists, self.drawn])
        return _HEAD.pack(crc32(body), self.length, *(len(group.numbers) for group in groups)) + body

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Raises ValueError, struct.error for what `to_bytes` did not make."""
        checksum, length, *sizes = _HEAD.unpack_from(raw)
        if crc32(memoryview(raw)[_HEAD.size :]) != checksum:
            raise ValueError("an entry is damaged")
        at, groups = _HEAD.size, list[Counts]()
        for size in sizes:
            numbers, times = array("I"), array("H")
            numbers.frombytes(raw[at : at + 4 * size])
            times.frombytes(raw[at + 4 * size : at + 6 * size])
            groups.append(Counts(_native(numbers), _native(times)))
            at += 6 * size
        words, symbol_words, defines, uses, imports = groups
        return cls(length, words, symbol_words, defines, uses, imports, raw[at:])


def make_entry(words: Counter[str], found: Outline = EMPTY) -> Entry:
    """Make the entry of a file that has these words, and this outline."""
    named = Counter(symbol.name for symbol in found.symbols)
    drawn = json.dumps([list(symbol) for symbol in found.symbols], separators=(",", ":"))
    return Entry(
        words.total(),
        Counts.of(words),
        Counts.of(Counter(word for name in named for word in words_of(name))),
        Counts.of(named),
        Counts.of(found.references),
        Counts.of(Counter(_lower(found.modules))),
        drawn.encode(),
    )


def _lower(names: Iterable[str]) -> Iterable[str]:
    return (name.lower() for name in names)


def _native(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _little(numbers: array[int]) -> bytes:
    return _native(array(numbers.typecode, numbers)).tobytes()
