"""Reads source files with tree-sitter: what they define, and what they use. Pure; for a bounded process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from artifacts.code_index.grammars import BY_SUFFIX, GRAMMARS, Grammar

_MOST_SYMBOLS: Final = 2_000
_MOST_CHARACTERS: Final = 160


class Symbol(NamedTuple):
    """Something that a file defines."""

    name: str
    line: int
    """From 1."""
    text: str
    """The line on which it begins, with its indentation."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a file defines and uses."""

    symbols: tuple[Symbol, ...] = ()
    """In the order of their lines."""
    references: Counter[str] = field(default_factory=Counter)
    """Name -> how often it is used."""
    modules: frozenset[str] = frozenset()
    """Last parts of what is imported, without endings: `utils` for `./lib/utils.js`."""


EMPTY: Final = Outline()


def suffix_of(path: str) -> str:
    """The ending of a path's name, in lower case, with its dot; "" without one."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def missing_grammars() -> list[str]:
    """Packages of grammars that are not installed here; ["tree_sitter"] stands for all."""
    if not _installed("tree_sitter"):
        return ["tree_sitter"]
    return sorted({grammar.module for grammar in GRAMMARS if not _installed(grammar.module)})


@cache
def can_read(suffix: str) -> bool:
    """Whether the grammar for files with this ending is there, and installed."""
    grammar = BY_SUFFIX.get(suffix)
    return grammar is not None and all(map(_installed, ("tree_sitter", grammar.module)))


def outline(path: str, content: bytes) -> Outline:
    """Read a file; EMPTY for a language without a grammar, or whose grammar is not installed.

    Takes the square of the depth to which a text nests, which nobody's own code reaches.
    """
    suffix = suffix_of(path)
    if not can_read(suffix):
        return EMPTY
    parser, cursor = _reader(BY_SUFFIX[suffix])
    captures = cursor.captures(parser.parse(content).root_node)
    lines = content.split(b"\n")
    found = {}
    for node in captures.get("def", [])[:_MOST_SYMBOLS]:
        row = node.start_point[0]
        name = _text(content, node)
        text = lines[row].decode("utf-8", "replace").rstrip()[:_MOST_CHARACTERS]
        found[name, row] = Symbol(name, row + 1, text)
    uses = Counter(_text(content, node) for node in captures.get("ref", []))
    modules = frozenset(_last_part(_text(content, node)) for node in captures.get("module", []))
    return Outline(tuple(sorted(found.values(), key=lambda one: one.line)), uses, modules - {""})


@cache
def _reader(grammar: Grammar) -> tuple[Any, Any]:
    """The parser of a language, and what runs the grammar's query."""
    tree_sitter = import_module("tree_sitter")
    language = tree_sitter.Language(getattr(import_module(grammar.module), grammar.function)())
    query = tree_sitter.Query(language, grammar.query)
    return tree_sitter.Parser(language), tree_sitter.QueryCursor(query)


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _text(content: bytes, node: Any) -> str:
    return content[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _last_part(module: str) -> str:
    """`utils` for "./lib/utils.js", `utils` for `package.utils`."""
    text = module.strip("\"'<>`")
    if "/" in text or "." not in text.strip("."):
        return text.rpartition("/")[2].partition(".")[0]
    last = text.rpartition(".")[2]
    return text.partition(".")[0] if f".{last}" in BY_SUFFIX else last
