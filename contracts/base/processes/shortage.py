"""Recognises that a process is short of what it runs on: descriptors, processes, threads, memory.

That is no fault of the work it does. Adapters turn it into an outage; a process that can be replaced by a
fresh one is, since a fork heals a leak.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from contracts.base.errors import Unavailable

_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
_NO_THREAD: Final = "can't start new thread"
"""Python's words; it has no type for this."""
_MOST_LINKS: Final = 20


def shortage_of(error: BaseException | None) -> OSError | None:
    """What an error says, or the errors that led to it say, was short; None when nothing was."""
    for _ in range(_MOST_LINKS):
        if error is None:
            return None
        if isinstance(error, OSError) and error.errno in _ERRNOS:
            return OSError(error.errno, error.strerror)
        if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
            return OSError(errno.EAGAIN, _NO_THREAD)
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def shortage_as(kind: type[Unavailable]) -> Iterator[None]:
    """Raise an error of this kind for a shortage within; every other error passes."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        short = shortage_of(error)
        if short is None:
            raise
        raise kind(f"this process is short of resources: {short.strerror}") from short
