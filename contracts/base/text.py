"""Text that can be stored anywhere."""

from __future__ import annotations

from typing import Final

_MAX_CHARACTERS: Final = 10_000


def bounded(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """At most `limit` characters that every store takes: PostgreSQL has no NUL, UTF-8 no lone surrogates."""
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
