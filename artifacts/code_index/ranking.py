"""Ranks the files of a tree for a request: by words in contents, names and paths, then by references."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from itertools import chain
from typing import Final, Protocol

from artifacts.code_index.entry import Entry
from artifacts.code_index.graph import References
from artifacts.code_index.kinds import Kind, kind_of
from artifacts.code_index.places import named_files
from artifacts.code_index.query import Query
from artifacts.code_index.words import IDENTIFIER, numbers_of

# How much each counts, against a word in a content. Found by trying on other repositories than those that
# benchmarks/repository_map.py measures with.
_SYMBOL: Final = 0.8
_PATH: Final = 0.5
_NAME: Final = 0.65
_LENGTH: Final = 0.75
_REFERENCE: Final = 0.11
_NAMED: Final = 3.0
"""Of the best score without it."""
_KINDS: Final = {Kind.CODE: 1.0, Kind.TEST: 0.3, Kind.ASIDE: 0.6, Kind.OTHER: 0.3}

_K1: Final = 1.2
_B: Final = 0.4
_NAMES_B: Final = 0.5
_WEIGHT_CAP: Final = 3.0
_DIGITS: Final = 6
"""Of scores, so that libraries that round otherwise change no order."""


class Counted(Protocol):
    """Counts by number."""

    def __getitem__(self, wanted: int, /) -> int:
        """How often; 0 for what is not there."""


def rank(files: Mapping[str, Entry], request: Query) -> list[str]:
    """All paths, best first; equal ones by path. Without words in the request, what is referred to most."""
    paths = sorted(files)
    entries = [files[path] for path in paths]
    kinds = [kind_of(path) for path in paths]
    references = References(paths, kinds, entries)
    if request.words:
        scores = _by_words(paths, entries, request)
        top = max(scores, default=0.0) or 1.0
        reached, part = references.rank(scores), _REFERENCE * top
    else:
        scores, top, part = [0.0] * len(paths), 1.0, 1.0
        reached = references.rank([1.0] * len(paths), len(paths))
    most = max(reached, default=0.0) or 1.0
    named = named_files(paths, request.paths)
    rows = []
    for at, path in enumerate(paths):
        score = (scores[at] + part * reached[at] / most) * _KINDS[kinds[at]]
        rows.append((-round(score + _NAMED * top * named.get(at, 0.0), _DIGITS), path))
    return [path for _, path in sorted(rows)]


def _by_words(paths: Sequence[str], entries: Sequence[Entry], query: Query) -> list[float]:
    scores = [_PATH * score for score in _present([_path_words(path) for path in paths], query.words)]
    places = [at for at, entry in enumerate(entries) if entry.length]
    read = [entries[at] for at in places]
    lengths = [entry.length for entry in read]
    owned = [entry.symbol_words for entry in read]
    contents = bm25([entry.words for entry in read], lengths, query.words, b=_B)
    named = bm25(owned, [len(words.numbers) for words in owned], query.words, b=_NAMES_B)
    defined = _present([entry.defines for entry in read], query.names)
    for at, length, content, name, defines in zip(places, lengths, contents, named, defined, strict=True):
        scores[at] += content + _SYMBOL * name + _NAME * defines + _LENGTH * math.log1p(length)
    return scores


def bm25(
    texts: Sequence[Counted], lengths: Sequence[int], wanted: Mapping[int, float], *, b: float = 0.75
) -> list[float]:
    """Okapi BM25 of each text. A wanted word has a weight, of which at most _WEIGHT_CAP counts.

    b: how much a long text counts less.
    """
    many = len(texts)
    mean = (sum(lengths) / many if many else 0.0) or 1.0
    norms = [_K1 * (1 - b + b * length / mean) for length in lengths]
    scores = [0.0] * many
    for word, weight in wanted.items():
        found = [(at, times) for at, text in enumerate(texts) if (times := text[word])]
        factor = _rarity(len(found), many) * min(weight, _WEIGHT_CAP) * (_K1 + 1)
        for at, times in found:
            scores[at] += factor * times / (times + norms[at])
    return scores


def _present(texts: Sequence[Container[int]], wanted: Mapping[int, float]) -> list[float]:
    """The rarity of the wanted words that stand in each text, however often."""
    many = len(texts)
    scores = [0.0] * many
    for word, weight in wanted.items():
        found = [at for at, text in enumerate(texts) if word in text]
        factor = _rarity(len(found), many) * min(weight, _WEIGHT_CAP)
        for at in found:
            scores[at] += factor
    return scores


def _rarity(found: int, many: int) -> float:
    return math.log(1 + (many - found + 0.5) / (found + 0.5))


def _path_words(path: str) -> frozenset[int]:
    return frozenset(chain.from_iterable(map(numbers_of, IDENTIFIER.findall(path))))
