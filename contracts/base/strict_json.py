"""Reads bytes as a checked document: strict JSON, every fault with its JSON path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from contracts.base.errors import InvalidDocument, Problem

MAX_DOCUMENT_BYTES = 32_000_000
MAX_PROBLEMS = 1_000

_PLAIN_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_SHOWN_VALUE = 80

# Not pydantic's words: they enter prompts, whose text must not change with the version of pydantic.
_WORDINGS = {
    "missing": "required field is missing",
    "extra_forbidden": "unknown field; remove it",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries, has {actual_length}",
    "too_long": "must have at most {max_length} entries, has {actual_length}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}

# The closing quote is optional and the repeats are possessive, so that an unclosed string costs one pass.
_PART = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[,\[{]', re.DOTALL)

M = TypeVar("M", bound=BaseModel)


def json_path(location: Iterable[str | int]) -> str:
    """Build a JSON path such as `$.items[2].task_id`; unusual names are quoted and escaped."""
    path = "$"
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_NAME.fullmatch(part):
            path += f".{part}"
        else:
            path += f"[{part[:_SHOWN_VALUE]!r}]"
    return path


def has_more_parts(raw: bytes, most: int) -> bool:
    """Whether JSON has more than `most` strings, commas and opening brackets: quick for any bytes.

    What a document costs to check grows with these, and hardly with the length of its texts.
    """
    if len(raw) <= most or sum(map(raw.count, (b'"', b",", b"[", b"{"))) <= most:
        return False
    return next(islice(_PART.finditer(raw), most, None), None) is not None


def read_json(raw: bytes | str, kind: str, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> Any:
    """Parse one JSON document, more strictly than `json.loads`.

    Raises InvalidDocument for more than `max_bytes`, anything but UTF-8 without a byte order mark,
    duplicate keys, NaN and infinities, numbers of thousands of digits, lone surrogates, deep nesting.
    """
    text = _decode(raw, kind, max_bytes)
    try:
        document = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite
        )
        # pydantic's parser also refuses lone surrogates and deep nesting; `validate` uses it later.
        from_json(text)
        return document
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        reason = "not readable: nested too deeply"
    except ValueError as error:
        reason = f"not acceptable JSON: {error}"
    raise InvalidDocument(kind, [Problem("$", reason)])


def validate(model: type[M], raw: bytes | str, kind: str) -> M:
    """Read `raw` as a document of `model`: strict JSON, and no value is converted to another type.

    Raises InvalidDocument with every problem found, at most MAX_PROBLEMS of them.
    """
    read_json(raw, kind)
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise InvalidDocument(kind, problems_of(error)) from None


def problems_of(error: ValidationError) -> list[Problem]:
    """Turn pydantic's errors into problems, in document order, at most MAX_PROBLEMS of them."""
    details = [detail for detail in error.errors(include_url=False) if not _only_invalid_entries(detail)]
    problems = [Problem(json_path(detail["loc"]), _sentence(detail)) for detail in details[:MAX_PROBLEMS]]
    if len(details) > MAX_PROBLEMS:
        problems.append(Problem("$", f"and {len(details) - MAX_PROBLEMS} problems more"))
    return problems


def to_json(document: object, kind: str) -> bytes:
    """Write a Python value as UTF-8 JSON. Raises InvalidDocument when that is impossible."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocument(kind, [Problem("$", f"cannot be written as JSON: {error}")]) from None


def shown(value: object) -> str:
    """Show a value in a message: short, on one line, without control characters."""
    text = repr(value[: _SHOWN_VALUE + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN_VALUE else f"{text[:_SHOWN_VALUE]}..."


def _decode(raw: bytes | str, kind: str, max_bytes: int) -> str:
    try:
        data = raw.encode("utf-8") if isinstance(raw, str) else raw
        if len(data) > max_bytes:
            reason = f"larger than the limit of {max_bytes:,} bytes"
        elif data.startswith(b"\xef\xbb\xbf"):
            reason = "begins with a byte order mark; save it as UTF-8 without one"
        else:
            return data.decode("utf-8")
    except UnicodeEncodeError as error:
        reason = f"not valid Unicode: a lone surrogate at character {error.start}"
    except UnicodeDecodeError as error:
        reason = (
            f"not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}; save it as UTF-8"
        )
    raise InvalidDocument(kind, [Problem("$", reason)])


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key)} appears twice in one object")
            seen.add(key)
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {shown(text)} is too large")
    return number


def _only_invalid_entries(detail: Any) -> bool:
    """Whether a list is called too short because its entries, reported by themselves, are invalid."""
    return bool(detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"])


def _sentence(detail: Any) -> str:
    wording = _WORDINGS.get(detail["type"], detail["msg"])
    sentence = wording.format_map(detail["ctx"]) if "{" in wording and "ctx" in detail else wording
    value = detail["input"]
    scalar = isinstance(value, str | int | float) and detail["type"] != "extra_forbidden"
    return f"{sentence}, got {shown(value)}" if scalar else str(sentence)
