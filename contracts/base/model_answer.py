"""Strict, bounded reading of the JSON document in a model's answer, in linear time for any text."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, TypeAlias

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
# What can be mended: what it leaves in a string stays, and it looks at nothing many times.
_MENDED: Final = re.compile(
    r'"(?:[^"\\]++|\\.)*+"?|//[^\n]*+|,(?=(?:\s++|//[^\n]*+)*+[\]}])|\b(?:True|False|None)\b', re.DOTALL
)
_WORDS: Final = {"True": "true", "False": "false", "None": "null"}
_NESTED_LIST: Final = re.compile(r"\[\s*[\[{]")
_SCALARS: Final = (str, int, float, bool, type(None))
# How servers that do not take thoughts out themselves mark where they end and the answer begins.
_END_OF_THOUGHTS: Final = re.compile(
    r"</(?:\w{1,20}:)?(?:think|thinking|thoughts?|reasoning|analysis|reflection)>"
    r"|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<channel\|>"
    r"|<\|channel\|>\s{0,9}final\b[^{\[]{0,99}?<\|message\|>|<\|end\|>(?=\s{0,99}[^\s<])",
    re.IGNORECASE,
)

Fits: TypeAlias = Callable[[object], bool]
"""Whether a document is of the kind that was asked for."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A place in an answer that reads as a document, or as the beginning of one."""

    begin: int
    end: int
    document: object = None
    problem: str | None = None
    """What is wrong with it; None for a sound one."""
    nested: bool = False
    """Whether it stands within what a broken one spans."""
    unclosed: bool = False


def parse_answer(text: str, *, max_bytes: int = MAX_ANSWER_BYTES, fits: Fits | None = None) -> object:
    """Return the one JSON object or array in an answer: alone, in a Markdown fence, or with prose around it.

    What stands before the last end of thoughts is no answer. Of several different documents, and of those
    beside braces that are no JSON, it is the only one that `fits`. Strings may hold control characters;
    commas too many, comments and Python's words for true, false and null are mended.

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
    candidates = _answering(text)
    if fits is not None and len(candidates) > 1:
        fitting = [one for one in _different(candidates) if fits(one.document)]
        if len(fitting) == 1 and not any(one.unclosed and one.begin >= fitting[0].end for one in candidates):
            return fitting[0].document
    return _only(candidates)


def _answering(text: str) -> list[_Candidate]:
    """What could be the answer: all after the last end of thoughts, unless that stands in a document."""
    candidates = list(_candidates(text, 0))
    sound = [one for one in candidates if one.problem is None]
    begins = [one.begin for one in sound]
    answer_begins = 0
    for mark in _END_OF_THOUGHTS.finditer(text):
        before = bisect(begins, mark.start())
        if not before or sound[before - 1].end <= mark.start():
            answer_begins = mark.end()
    if not answer_begins:
        return candidates
    return list(_candidates(text, answer_begins)) or [one for one in candidates if one.problem]


def _only(candidates: Sequence[_Candidate]) -> object:
    """The one document, when no other is told from it by what it fits."""
    outer = [one for one in candidates if not one.nested]
    if not outer:
        _refuse(f"no JSON object or array found; keys and strings need double quotes; {_ONLY_ONE}")
    if outer[-1].problem:
        _refuse(outer[-1].problem)
    different = _different(outer)
    if len(different) > 1:
        _refuse(f"{len(different)} different JSON documents found; {_ONLY_ONE}")
    return different[0].document


def _different(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The sound ones, of equal ones the last; no plain lists where there is anything else."""
    sound = [one for one in candidates if one.problem is None]
    rich = [one for one in sound if not _is_plain_list(one.document)]
    # Compared as JSON text, because in Python 1 == True and 1 == 1.0.
    return list({json.dumps(one.document, sort_keys=True): one for one in rich or sound}.values())


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


def _candidates(text: str, position: int) -> Iterator[_Candidate]:
    spanned = 0  # how far the broken one reaches within which the next ones stand
    last = len(text.rstrip())
    for _ in range(MAX_CANDIDATES):
        start = _START.search(text, position)
        if start is None:
            return
        begin = start.start()
        one, position = _read(text, begin, last)
        if one is None:
            continue
        nested = begin < spanned
        if not nested:
            # This also refuses what is nested too deeply.
            end = _end(text, begin)
            spanned = len(text) if end is None else end
            if end is None:
                one = replace(one, end=spanned, problem=_unclosed(text, begin), unclosed=True)
            elif one.problem is None:
                spanned = 0
            elif (mended := _mended(text[begin:end])) is not None:
                one, position, spanned = replace(mended, begin=begin, end=end), end, 0
        yield replace(one, nested=nested)
    _refuse(f"more than {MAX_CANDIDATES:,} JSON documents found; {_ONLY_ONE}")


def _mended(text: str) -> _Candidate | None:
    """A broken document without commas before a closing bracket and comments to the end of a line, and with
    true, false and null for Python's words; None where it is broken in another way.

    Nothing else is mended: what is missing, or may mean two things, is the model's to say.
    """
    mended = _MENDED.sub(_mended_token, text)
    if mended == text:
        return None
    one, end = _read(mended, 0, len(mended))
    return one if one and one.problem is None and end == len(mended) else None


def _mended_token(token: re.Match[str]) -> str:
    found = token.group()
    return found if found.startswith('"') else _WORDS.get(found, "")


def _read(text: str, begin: int, last: int) -> tuple[_Candidate | None, int]:
    """What begins there, None for prose in brackets, and where to look on.

    last: the end of the text without white space.
    """
    problems: list[str] = []
    try:
        document, end = _decoder(problems).raw_decode(text, begin)
    except json.JSONDecodeError as error:
        position = _after_error(text, begin, error.pos)
        if text[begin] == "[" and not _NESTED_LIST.match(text, begin) and error.pos < last:
            return None, position
        problem = f"broken JSON at {_where(text, error.pos)}: {error.msg}"
        return _Candidate(begin, error.pos, problem=problem), position
    except RecursionError:
        _refuse(_too_deep(text, begin))
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        problems.append(r"a string holds a lone surrogate (an escape such as \ud800 without its partner)")
    return _Candidate(begin, end, document, problems[0] if problems else None), end


def _after_error(text: str, begin: int, position: int) -> int:
    """Where to look on after what begins there was found broken.

    What came before was well-formed, and nothing in it is the answer, unless a quote in prose made the
    beginning of the answer part of a string: that string is looked through once more.
    """
    if text[position - 1] == '"':
        return max(begin, text.rfind('"', begin, position - 1)) + 1
    return len(text) if _is_unclosed_string(text, position) else max(position, begin + 1)


def _is_unclosed_string(text: str, position: int) -> bool:
    string = _TOKEN.match(text, position) if text[position : position + 1] == '"' else None
    return string is not None and (string.end() - position == 1 or text[string.end() - 1] != '"')


def _end(text: str, begin: int) -> int | None:
    """The index after the bracket that closes the one at `begin`, None when none does."""
    depth = 0
    for token in _TOKEN.finditer(text, begin):
        kind = token.group()[0]
        if kind in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                _refuse(_too_deep(text, token.start()))
        elif kind in "]}":
            depth -= 1
            if depth == 0:
                return token.end()
    return None


def _too_deep(text: str, position: int) -> str:
    return f"nested more than {MAX_DEPTH} levels deep at {_where(text, position)}; flatten it"


def _unclosed(text: str, begin: int) -> str:
    return (
        f"the JSON that starts at {_where(text, begin)} is not closed: a bracket or a quote is missing, or "
        "the answer was cut off; send the whole document, shorter if need be"
    )


def _decoder(problems: list[str]) -> json.JSONDecoder:
    """Reads strictly, but for control characters in strings. What need not end it goes to `problems`."""
    return json.JSONDecoder(
        strict=False,
        parse_constant=lambda name: problems.append(
            f"{name} is no JSON value; use a number, a string or null"
        ),
        parse_int=lambda digits: int(digits) if _is_short(digits, problems) else 0,
        parse_float=lambda digits: _finite(digits, problems) if _is_short(digits, problems) else 0.0,
        object_pairs_hook=lambda pairs: _unique_keys(pairs, problems),
    )


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column} of the answer"


def _is_short(digits: str, problems: list[str]) -> bool:
    if len(digits.lstrip("-")) <= MAX_NUMBER_DIGITS:
        return True
    problems.append(f"a number has {len(digits):,} digits, the limit is {MAX_NUMBER_DIGITS:,}")
    return False


def _finite(digits: str, problems: list[str]) -> float:
    value = float(digits)
    if not math.isfinite(value):
        problems.append(f"the number {digits[:40]} is too large; use one below 1.8e308")
    return value


def _unique_keys(pairs: list[tuple[str, Any]], problems: list[str]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        problems.append(f"the key {twice[:100]!r} appears twice in one object; every key may appear once")
    return result


def _is_plain_list(document: object) -> bool:
    return isinstance(document, list) and all(isinstance(item, _SCALARS) for item in document)
