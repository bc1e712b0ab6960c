"""Commands and web addresses of a user that are told of events."""

from __future__ import annotations

import shlex
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from contracts.base.errors import InvalidInput

HOOK_SECONDS: Final = 10.0
"""How long a command or a server may take."""


class Hook(NamedTuple):
    """Whom to tell."""

    shown: str
    """Its host or program: what else stands in an address or a command may be secret."""
    send: Callable[[bytes], None]


def read_hook(given: str) -> Hook:
    """Return the hook that a user named. Raises InvalidInput for neither a command nor an http address."""
    try:
        if "://" in given.partition(" ")[0]:
            parts = urlsplit(given)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
                raise InvalidInput("--on-event: an address begins with http:// or https:// and names a host")
            return Hook(f"{parts.scheme}://{parts.hostname}", partial(_post, given))
        words = shlex.split(given)
    except ValueError as error:
        raise InvalidInput(f"--on-event: {error}") from None
    if not words:
        raise InvalidInput("--on-event is empty; name a command or an http address")
    return Hook(words[0], partial(_run, words))


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(  # noqa: S310 - see read_hook
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=HOOK_SECONDS) as answer:  # noqa: S310
        answer.read(1)


def _run(words: Sequence[str], body: bytes) -> None:
    subprocess.run(
        words,
        input=body,
        stdout=subprocess.DEVNULL,
        timeout=HOOK_SECONDS,
        check=True,
    )
