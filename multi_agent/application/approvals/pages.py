"""The full text of an action that waits for approval, in pages: who approves has seen all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.base.text import json_text

PAGE: Final = 6_000
"""Characters; a longer action must be opened page by page."""


def pages_of(action: Mapping[str, Any]) -> tuple[str, ...]:
    """The action as JSON in which what has no shape is escaped, in pages that together are all of it.

    They end at the ends of lines; a line that is longer is cut.
    """
    pages = [""]
    for part in _parts(json_text(action, indent=2)):
        if pages[-1] and len(pages[-1]) + len(part) > PAGE:
            pages.append("")
        pages[-1] += part
    return tuple(pages)


def _parts(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        yield from (line[start : start + PAGE] for start in range(0, len(line), PAGE))
