"""Strict, bounded reading of the JSON document in a model's answer, in linear time for any text."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from contracts.base.errors import InvalidDocument, Problem

MAX_ANSWER_BYTES: Final = 4_000_000
MAX_DEPTH: Final = 100
MAX_NUMBER_DIGITS: Final = 4_000
MAX_CANDIDATES: Final = 1_000

_ONLY_ONE: Final = "answer with exactly one JSON document and nothing else"
# A brace or bracket that can open JSON, unlike `{name}` or `[see below]` in prose.
_START: Final = re.compile(r'\{(?=\s*["}])|\[(?=\s*[\[{"\]\d-])')
# The closing quote is optional and the repeats are possessive, so that an unclosed string costs one pass.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_NESTED_LIST: Final = re.compile(r"\[\s*[\[{]")
_SCALARS: Final = (str, int, float, bool, type(None))


def parse_answer(text: str, *, max_bytes: int = MAX_ANSWER_BYTES) -> object:
    """Return the one JSON object or array in an answer: alone, in a Markdown fence, or with prose around it.

    Raises InvalidDocument("answer", ...), worded so that it can be sent back to the model, for:

    - more than `max_bytes` of UTF-8;
    - no document, or several different ones (equal ones count once; a list of plain values beside an object
      counts as prose);
    - broken or cut JSON, or more than MAX_DEPTH levels;
    - NaN, infinities, numbers beyond a double's range or of more than MAX_NUMBER_DIGITS digits;
    - duplicate keys or lone surrogates;
    - more than MAX_CANDIDATES places that could be JSON.
    """
    check_size(text, max_bytes)
    found = list(_documents(text))
    nested = [document for document in found if not _is_plain_list(document)]
    candidates = nested or found
    if not candidates:
        _refuse(f"no JSON object or array found; keys and strings need double quotes; {_ONLY_ONE}")
    # Compared as JSON text, because in Python 1 == True and 1 == 1.0.
    different = {json.dumps(candidate, sort_keys=True) for candidate in candidates}
    if len(different) > 1:
        _refuse(f"{len(different)} different JSON documents found; {_ONLY_ONE}")
    return candidates[0]


def _refuse(message: str) -> NoReturn:
    raise InvalidDocument("answer", [Problem("$", message)]) from None


def check_size(text: str, max_bytes: int = MAX_ANSWER_BYTES) -> None:
    """Refuse an answer for its size alone, which is quick. Raises InvalidDocument, as `parse_answer` does."""
    # Characters first: encoding 50 MB only to refuse it would double the memory.
    if len(text) > max_bytes:
        _refuse(f"the answer has {len(text):,} characters, the limit is {max_bytes:,} bytes; shorten it")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        _refuse(f"character {error.start:,} is a lone surrogate, which is no valid Unicode text")
    if size > max_bytes:
        _refuse(f"the answer has {size:,} bytes, the limit is {max_bytes:,}; shorten it")


def _documents(text: str) -> Iterator[object]:
    position = 0
    for _ in range(MAX_CANDIDATES):
        start = _START.search(text, position)
        if start is None:
            return
        begin = start.start()
        position = _end(text, begin)
        document = _load(text, begin, position)
        if document is not None:
            yield document
    _refuse(f"more than {MAX_CANDIDATES:,} JSON documents found; {_ONLY_ONE}")


def _end(text: str, begin: int) -> int:
    """The index after the bracket that closes the one at `begin`."""
    depth = 0
    for token in _TOKEN.finditer(text, begin):
        kind = token.group()[0]
        if kind in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                _refuse(
                    f"nested more than {MAX_DEPTH} levels deep at {_where(text, token.start())}; flatten it"
                )
        elif kind in "]}":
            depth -= 1
            if depth == 0:
                return token.end()
    _refuse(
        f"the JSON that starts at {_where(text, begin)} is not closed: a bracket or a quote is missing, or "
        "the answer was cut off; send the whole document, shorter if need be"
    )


def _load(text: str, begin: int, end: int) -> object | None:
    """The document, or None when it is prose in square brackets."""
    try:
        document: object = json.loads(
            text[begin:end],
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
            object_pairs_hook=_unique_keys,
        )
    except json.JSONDecodeError as error:
        if text[begin] == "[" and not _NESTED_LIST.match(text, begin):
            return None
        _refuse(f"broken JSON at {_where(text, begin + error.pos)}: {error.msg}")
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        _refuse(r"a string holds a lone surrogate (an escape such as \ud800 without its partner)")
    return document


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column} of the answer"


def _no_constant(name: str) -> NoReturn:
    _refuse(f"{name} is no JSON value; use a number, a string or null")


def _check_length(digits: str) -> None:
    if len(digits.lstrip("-")) > MAX_NUMBER_DIGITS:
        _refuse(f"a number has {len(digits):,} digits, the limit is {MAX_NUMBER_DIGITS:,}")


def _bounded_int(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _finite_float(digits: str) -> float:
    _check_length(digits)
    value = float(digits)
    if not math.isfinite(value):
        _refuse(f"the number {digits[:40]} is too large; use one below 1.8e308")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        _refuse(f"the key {twice[:100]!r} appears twice in one object; every key may appear once")
    return result


def _is_plain_list(document: object) -> bool:
    return isinstance(document, list) and all(isinstance(item, _SCALARS) for item in document)
