"""Unique identifiers that cannot be guessed: 128 random bits as 32 hex digits."""

from __future__ import annotations

import os
from collections.abc import Iterator

_BYTES, _AT_ONCE = 16, 4_096


def _fresh() -> Iterator[str]:
    while True:
        # One system call for many ids, since the call takes longer than everything else.
        block = os.urandom(_AT_ONCE)
        yield from (block[start : start + _BYTES].hex() for start in range(0, _AT_ONCE, _BYTES))


_waiting = _fresh()


def new_id() -> str:
    """Return a fresh identifier. Must be called from one thread only."""
    return next(_waiting)


def _renew() -> None:
    global _waiting  # noqa: PLW0603 - a forked process must not return the same ids as its parent
    _waiting = _fresh()


os.register_at_fork(after_in_child=_renew)
