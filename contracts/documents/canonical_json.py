"""JSON in the one form that a hash can stand for: RFC 8785, the JSON Canonicalization Scheme.

Written here, since the whole of it is shorter than what a dependency must be checked for; the tests hold it
to the vectors of the RFC.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.base.errors import InvalidInput

_EXACT: Final = 2**53 - 1
"""A larger integer is not the same number for every reader of JSON."""
_PLAIN: Final = 21
"""Numbers from ten to this power on have an exponent, as ECMAScript prints them."""
_SMALL: Final = -7


def canonical_json(value: Any) -> bytes:
    """The canonical bytes of None, bools, numbers, texts, and of sequences and mappings of these.

    Equal values have equal bytes, others never. Raises InvalidInput for what has no canonical form: NaN and
    infinities, integers above 2^53, half a surrogate pair, keys that are no text, other types.
    """
    try:
        return _text(value).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("a text holds half a surrogate pair, which has no canonical form") from None


def canonical_hash(value: Any) -> str:
    """SHA-256 of the canonical bytes, hexadecimal. Raises as `canonical_json`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _text(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) > _EXACT:
                raise InvalidInput(f"{value} is above 2^53 and has no canonical form; give it as a text")
            return str(int(value))
        case float():
            return _number(value)
        case Mapping():
            if odd := next((key for key in value if not isinstance(key, str)), None):
                raise InvalidInput(f"key {odd!r} is no text and has no canonical form")
            # By UTF-16 code units, as the RFC orders them.
            keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
            return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in keys) + "}"
        case Sequence() if not isinstance(value, bytes | bytearray):
            return "[" + ",".join(map(_text, value)) + "]"
        case _:
            raise InvalidInput(f"a {type(value).__name__} has no canonical form")


def _number(value: float) -> str:
    """A number as ECMAScript prints it: the shortest digits that read back as the same."""
    if not math.isfinite(value):
        raise InvalidInput(f"{value} is no JSON number and has no canonical form")
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction.removesuffix("0") if fraction == "0" else whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to `point`.
    point = len(whole.lstrip("0")) + int(exponent or 0)
    if not whole.strip("0"):
        point -= len(fraction) - len(fraction.lstrip("0"))
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= _PLAIN:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= _PLAIN:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _SMALL < point - 1 < 0:
        return f"{sign}0.{'0' * -point}{digits}"
    shown = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{sign}{shown}e{'+' if point > 0 else '-'}{abs(point - 1)}"
