"""Text that can be stored anywhere."""

from __future__ import annotations

from typing import Final

_MAX_CHARACTERS: Final = 10_000


def shortened(text: str, limit: int) -> str:
    """A model's own answer as it is sent back to it: of one beyond `limit`, the beginning and the end."""
    half = limit // 2
    if len(text) <= 2 * half:
        return text
    return f"{text[:half]}\n[{len(text) - 2 * half} characters cut here]\n{text[-half:]}"


def bounded(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """At most `limit` characters that every store takes: PostgreSQL has no NUL, UTF-8 no lone surrogates."""
    return text[:limit].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
