"""Tells commands and web addresses of a user what `multi_agent.application.notices` finds."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final
from urllib.parse import urlsplit

from contracts.base.errors import InvalidInput, StoreUnavailable
from contracts.base.text import json_text
from multi_agent.application.notices import Notice, Notices
from multi_agent.bootstrap import make_client, make_database
from multi_agent.settings import Settings

LOOK_SECONDS: Final = 0.5
HOOK_SECONDS: Final = 10.0
"""How long a command or a server may take."""


def check_hooks(hooks: Sequence[str]) -> None:
    """Raise InvalidInput for what is neither a command nor an http address."""
    for hook in hooks:
        scheme = urlsplit(hook).scheme if "://" in hook.partition(" ")[0] else ""
        if scheme and scheme not in {"http", "https"}:
            raise InvalidInput(f"--on-event {hook!r}: an address begins with http:// or https://")
        try:
            words = shlex.split(hook)
        except ValueError as error:
            raise InvalidInput(f"--on-event {hook!r}: {error}") from None
        if not words:
            raise InvalidInput("--on-event is empty; name a command or an http address")


@asynccontextmanager
async def told(settings: Settings, hooks: Sequence[str], say: Callable[[str], None]) -> AsyncIterator[None]:
    """While the `with` body runs, tell each hook what is new; at the end, what is new then."""
    if not hooks:
        yield
        return
    database = make_database(settings)
    try:
        notices, ending = Notices(make_client(settings, database)), asyncio.Event()
        await notices.begin()
        telling = asyncio.create_task(_tell_all(notices, hooks, say, ending))
        try:
            yield
        finally:
            ending.set()
            await asyncio.wait([telling], timeout=2 * HOOK_SECONDS)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    finally:
        await database.close()


async def _tell_all(
    notices: Notices, hooks: Sequence[str], say: Callable[[str], None], ending: asyncio.Event
) -> None:
    last = False
    while not last:
        last = ending.is_set()
        try:
            new = await notices.new()
        except StoreUnavailable:
            new = []
        for notice in new:
            await asyncio.gather(*(_tell(hook, notice, say) for hook in hooks))
        if not last:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await ending.wait()
            except TimeoutError:
                continue


async def _tell(hook: str, notice: Notice, say: Callable[[str], None]) -> None:
    body = json_text(asdict(notice)).encode()
    send = _post if hook.startswith(("http://", "https://")) else _run
    try:
        await asyncio.to_thread(send, hook, body)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        say(f"--on-event {hook}: {notice.event} of {notice.workflow_id} was not told: {error}")


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(  # noqa: S310 - see check_hooks
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=HOOK_SECONDS) as answer:  # noqa: S310
        answer.read(1)


def _run(command: str, body: bytes) -> None:
    subprocess.run(
        shlex.split(command),
        input=body,
        stdout=subprocess.DEVNULL,
        timeout=HOOK_SECONDS,
        check=True,
    )
