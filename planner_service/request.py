"""The user's request: which texts are accepted, and the plan's id that is derived from it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from contracts.base.errors import InvalidInput

MAX_REQUEST_CHARACTERS: Final = 20_000

_LAYOUT = frozenset("\n\r\t")
_SLUG_CHARACTERS = 40
_HASH_DIGITS = 10


def check_request(text: str) -> str:
    """Return the request without surrounding blanks.

    Raises InvalidInput when nothing is left, for more than MAX_REQUEST_CHARACTERS, and for control characters
    other than line breaks and tabs.
    """
    request = text.strip()
    if not request:
        raise InvalidInput("the request is empty; say in a sentence what should be built")
    if len(request) > MAX_REQUEST_CHARACTERS:
        raise InvalidInput(
            f"the request has {len(request):,} characters, the limit is {MAX_REQUEST_CHARACTERS:,}"
        )
    for place, char in enumerate(request):
        if unicodedata.category(char) in {"Cc", "Cs"} and char not in _LAYOUT:
            raise InvalidInput(
                f"the request has the control character U+{ord(char):04X} at position {place}; remove it"
            )
    return request


def todo_list_id(request: str) -> str:
    """Derive the plan's id from the request: words of it and a part of its SHA-256."""
    plain = unicodedata.normalize("NFKD", request).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:_SLUG_CHARACTERS].strip("-") or "plan"
    return f"{slug}-{hashlib.sha256(request.encode()).hexdigest()[:_HASH_DIGITS]}"
