"""Journal entries in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contracts.base.text import flowing
from contracts.messages.journal import JournalEvent, UnknownEvent

if TYPE_CHECKING:
    from orchestrator.client.views import JournalEntry

_HASH = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{40})\b")
_SHOWN = 1_000
"""Characters of a fact: a summary or a reason with its error line is not cut."""

_FOR_PROGRAMS = frozenset({"task_id", "dispatch_id", "execution_id", "worker_id", "planning"})


def entry_line(entry: JournalEntry, started: float) -> str:
    """A journal entry as one line, with its seconds since `started` (in seconds since 1970)."""
    return f"[{entry.at - started:7.1f}s] {entry_text(entry)}"


def entry_text(entry: JournalEntry) -> str:
    """A journal entry in words, without its time."""
    what = entry.kind.partition(".")[2].replace("_", " ")
    who = entry.task_id or "workflow"
    facts = ", ".join(
        f"{name} {_short(value)}"
        for name, value in _facts(entry.event).items()
        if value not in (None, "") and name not in _FOR_PROGRAMS
    )
    return f"{who}: {what}" + (f" ({facts})" if facts else "")


def _facts(event: JournalEvent | UnknownEvent) -> Mapping[str, Any]:
    return event.data if isinstance(event, UnknownEvent) else event._asdict()


def _short(value: Any) -> str:
    listed = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = _HASH.sub(lambda found: found[0][:12], flowing(listed))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
