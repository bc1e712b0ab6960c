"""Draws a map as text: the first files with what they define, then names of more, within a budget."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from artifacts.code_index.entry import Entry
from artifacts.code_index.query import Query
from artifacts.code_index.symbols import Symbol
from artifacts.code_index.words import number, numbers_of

TOKEN_CHARACTERS: Final = 4
"""Of code and prose, about; every model counts in its own way."""
_OUTLINED: Final = 0.8
"""The share of the room that outlines may take; the rest is for names of further files."""
_LINES: Final = ((5, 24), (15, 12), (40, 6))
"""Up to this place in the order, a file may have so many lines."""
_FUNCTION: Final = re.compile(r"\s*(?:(?:async|export|default|pub|static) )*(?:def|function\*?|func|fn) ")
_MORE: Final = "... and {} more files"
_MORE_CHARACTERS: Final = len(_MORE) + 10


def draw(order: Sequence[str], files: Mapping[str, Entry], request: Query, tokens: int) -> str:
    """Draw the files in their order, in at most `tokens` tokens."""
    room = max(tokens * TOKEN_CHARACTERS - _MORE_CHARACTERS, 0)
    outlined = int(room * _OUTLINED)
    blocks: list[str] = []
    for place, path in enumerate(order):
        lines = [path]
        if most := next((most for end, most in _LINES if place < end), 0):
            shown = _chosen(files[path].symbols(), request, most)
            lines += [f"{symbol.line:>6} {symbol.text}" for symbol in shown]
        block = "\n".join(lines)
        if len(block) + 1 > outlined:
            block = path
        if len(block) + 1 > room:
            break
        room -= len(block) + 1
        outlined -= len(block) + 1
        blocks.append(block)
    left = len(order) - len(blocks)
    return "\n".join([*blocks, _MORE.format(f"{left:,}")] if left else blocks)


def _chosen(symbols: Sequence[Symbol], request: Query, most: int) -> list[Symbol]:
    """Those that the request is about, then the outer ones before the inner; in the order of their lines.

    What a function has for itself comes last: it can be reached by nobody else.
    """
    local = {id(symbol) for symbol in _local(symbols)}

    def key(symbol: Symbol) -> tuple[bool, float, int, int]:
        asked = request.names.get(number(symbol.name), 0.0)
        asked += sum(request.words.get(word, 0.0) for word in numbers_of(symbol.name))
        return id(symbol) in local, -asked, _indentation(symbol), symbol.line

    by_line = {symbol.line: symbol for symbol in reversed(symbols)}
    return sorted(sorted(by_line.values(), key=key)[:most], key=lambda symbol: symbol.line)


def _local(symbols: Sequence[Symbol]) -> Iterator[Symbol]:
    """Yield what stands within a function, as far as indentation tells."""
    around: list[tuple[int, bool]] = []
    for symbol in symbols:
        indentation = _indentation(symbol)
        while around and around[-1][0] >= indentation:
            around.pop()
        is_local = bool(around) and around[-1][1]
        if is_local:
            yield symbol
        around.append((indentation, is_local or _FUNCTION.match(symbol.text) is not None))


def _indentation(symbol: Symbol) -> int:
    return len(symbol.text) - len(symbol.text.lstrip())


def words_only(missing: Sequence[str]) -> Iterator[str]:
    """Say what is not read without these packages."""
    if missing:
        what = "files are" if missing == ["tree_sitter"] else "some files are"
        yield (
            f"{what} ranked by names and words alone, without what they define and use: "
            f"pip install 'multi-agent[map]' ({', '.join(missing)} missing)"
        )
