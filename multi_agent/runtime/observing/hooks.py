"""Commands and web addresses of a user that are told of events."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http.client import HTTPException
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from contracts.base.errors import InvalidInput
from contracts.base.text import json_text
from multi_agent.settings import Settings

HOOK_SECONDS: Final = 10.0
"""How long a command or a server may take."""


class Hook(NamedTuple):
    """Whom to tell."""

    shown: str
    """Its host or program: what else stands in an address or a command may be secret."""
    send: Callable[[bytes], None]


def read_hook(given: str, name: str = "--on-event") -> Hook:
    """Return the hook that a user named with the option or setting `name`.

    Raises InvalidInput for neither a command nor an http address.
    """
    try:
        if "://" in given.partition(" ")[0]:
            parts = urlsplit(given)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
                raise InvalidInput(f"{name}: an address begins with http:// or https:// and names a host")
            return Hook(f"{parts.scheme}://{parts.hostname}", partial(_post, given))
        words = shlex.split(given)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None
    if not words:
        raise InvalidInput(f"{name} is empty; name a command or an http address")
    return Hook(words[0], partial(_run, words))


def audit_hook(settings: Settings) -> Hook | None:
    """Whom to tell of anchors of the audit log. Raises as `read_hook`."""
    given = settings.audit_hook
    return read_hook(given.get_secret_value(), "MULTI_AGENT_AUDIT_HOOK") if given else None


async def tell(hook: Hook, what: Mapping[str, Any]) -> str | None:
    """Send it as JSON; why that failed, without the command or the address, None when it did not."""
    try:
        await asyncio.to_thread(hook.send, json_text(what).encode())
    except subprocess.CalledProcessError as error:
        return f"exit code {error.returncode}"
    except OSError as error:
        return str(error)
    except (ValueError, HTTPException, subprocess.SubprocessError) as error:
        return type(error).__name__
    return None


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
