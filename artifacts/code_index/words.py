"""Words of code and prose: identifiers are split, words are brought to a common form, and numbered."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Final
from zlib import crc32

IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_LONGEST: Final = 64
_SHORTEST_STEM: Final = 3


def number(word: str) -> int:
    """The number by which a word or name is known in an index: 32 bits."""
    return crc32(word.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=200_000)
def words_of(identifier: str) -> tuple[str, ...]:
    """The stems of an identifier's parts, and for one of several parts all of it in lower case."""
    if len(identifier) > _LONGEST:
        return ()
    parts = [stem(part.lower()) for part in _PART.findall(identifier)]
    parts = [part for part in parts if len(part) > 1]
    return (*parts, identifier.strip("_").lower()) if len(parts) > 1 else tuple(parts)


@lru_cache(maxsize=200_000)
def numbers_of(identifier: str) -> tuple[int, ...]:
    """The numbers of `words_of`."""
    return tuple(map(number, words_of(identifier)))


def stem(word: str) -> str:
    """Cut the endings off that English words have: `caching`, `cached` and `caches` are `cach`."""
    for ending, instead in (("sses", "ss"), ("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and not word.endswith(("ss", "us")):
            cut = word[: -len(ending)] + instead
            if len(cut) >= _SHORTEST_STEM:
                word = _single(cut) if ending in {"ing", "ed"} else cut
                break
    return word[:-1] if word.endswith("e") and len(word) > _SHORTEST_STEM else word


def _single(word: str) -> str:
    """`stopp` of `stopping` is `stop`."""
    return word[:-1] if word[-1] == word[-2] and word[-1] not in "aeiouls" else word


def counted(text: str) -> Counter[str]:
    """How often each word stands in a text."""
    counts: Counter[str] = Counter()
    for identifier, times in Counter(IDENTIFIER.findall(text)).items():
        for word in words_of(identifier):
            counts[word] += times
    return counts
