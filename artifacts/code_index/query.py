"""What a request says about where to look: words, names, and paths, also those of stack traces."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, Self

from artifacts.code_index.words import IDENTIFIER, number, numbers_of

_PATH: Final = re.compile(r"(?<![\w./@+-])/?(?:[\w.@+-]+/)*[\w@+-][\w.@+-]*\.[A-Za-z]\w{0,9}(?!\w)")
_LONGEST: Final = 50_000
_FIRST_LINE: Final = 2.0
_COMMON: Final = frozenset(
    word
    for text in (
        "a an and are as at be been but by can could did do does doing done for from get had has have how",
        "i if in into is it its just like may me might more most must my no not now of off on one only or",
        "other our out over please should so some such than that the their them then there these they",
        "this those to too up us use used uses using very via want was we were what when where which",
        "while who why will with would you your also any all both each about after before again because",
        "being between same still without within fix fixes fixed fixing bug bugs issue issues pr add adds",
        "added adding make makes change changes changed co authored signed closes close refs ref see",
        "github com http https www noreply",
    )
    for word in text.split()
)
"""Words that say nothing about where to look."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request as it is compared with files."""

    words: dict[int, float] = field(default_factory=dict)
    """Number of a word -> its weight."""
    names: dict[int, float] = field(default_factory=dict)
    """Number of an identifier as it is written -> its weight."""
    paths: tuple[str, ...] = ()
    """What looks like a path or a file's name."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a request, whose first line counts more; of a very long one the beginning."""
        text = text.strip()[:_LONGEST]
        first, _, rest = text.partition("\n")
        words: defaultdict[int, float] = defaultdict(float)
        names: defaultdict[int, float] = defaultdict(float)
        for part, weight in ((first, _FIRST_LINE), (rest, 1.0)):
            for identifier in IDENTIFIER.findall(part):
                if identifier.lower() in _COMMON:
                    continue
                names[number(identifier)] += weight
                for word in numbers_of(identifier):
                    words[word] += weight
        return cls(dict(words), dict(names), tuple(dict.fromkeys(_PATH.findall(text))))
