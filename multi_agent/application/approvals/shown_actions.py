"""Which actions a person has been shown, so that a decision without a hash is about what that person saw."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from multi_agent.application.approvals.pages import pages_of
from multi_agent.application.waiting import Pending, PendingApproval

MOST_KEPT: Final = 500


class ShownActions:
    """The hash of each waiting action, or question, as it was last shown to the user of this process.

    Kept in the data folder, in a file of the user's own: one that somebody else could have written counts as
    none, since it could make a person allow what they never saw. What cannot be written is forgotten.
    """

    def __init__(self, data: Path) -> None:
        self._file = data / f"shown-{os.geteuid()}.json"

    def last(self, pending: Pending) -> str | None:
        """The hash under which the task was last shown, every page of it; None when it never was."""
        known = self._read()
        shown = {known.get(name) for name in _names(pending)}
        return shown.pop() if len(shown) == 1 else None

    def unread(self, approval: PendingApproval) -> int | None:
        """The first page of a long action that was not shown as it is now, from 1 on; None when all were."""
        names, known = _names(approval), self._read()
        if len(names) == 1:
            return None
        unread = (n for n, name in enumerate(names, 1) if known.get(name) != approval.action_hash)
        return next(unread, None)

    def note(self, waiting: Iterable[Pending]) -> None:
        """Remember that these were shown just now: whole, or the first page of those that have several."""
        self._note({_names(one)[0]: one.action_hash for one in waiting})

    def note_page(self, approval: PendingApproval, number: int) -> None:
        """Remember that this page of it was shown just now, from 1 on."""
        self._note({_names(approval)[number - 1]: approval.action_hash})

    def _note(self, now: Mapping[str, str]) -> None:
        if not now:
            return
        kept = {name: value for name, value in self._read().items() if name not in now} | dict(now)
        newest = dict(list(kept.items())[-MOST_KEPT:])
        with suppress(OSError):
            self._write(json.dumps(newest))

    def _read(self) -> dict[str, str]:
        try:
            with open(os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as file:
                about = os.fstat(file.fileno())
                foreign = about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                found = {} if foreign else json.load(file)
        except (OSError, ValueError):
            return {}
        return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def _write(self, text: str) -> None:
        unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        unfinished.unlink(missing_ok=True)
        with open(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        unfinished.replace(self._file)


def _names(pending: Pending) -> tuple[str, ...]:
    """A name for each page of it."""
    name = f"{pending.workflow_id}/{pending.task_id}"
    pages = pages_of(pending.action) if isinstance(pending, PendingApproval) else ("",)
    return (name, *(f"{name}#{number}" for number in range(2, len(pages) + 1)))
