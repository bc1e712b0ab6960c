"""Where a piece of text almost stands in a file, for whoever got it slightly wrong."""

from __future__ import annotations

from difflib import SequenceMatcher

from agents.tools.shown_text import numbered

_LOOKED_AT = 20_000


def nearest(text: str, old: str) -> str | None:
    """The lines that are likest to what was looked for, with their numbers."""
    lines, wanted = text.splitlines(), [line.strip() for line in old.strip().splitlines()]
    if len(lines) > _LOOKED_AT or not wanted:
        return None
    likest = _likest_line(lines, wanted)
    if likest is None:
        return None
    at, offset = likest
    start = max(0, at - offset - 1)
    return "\n".join(numbered(lines[start : at - offset + len(wanted) + 1], start + 1))


def _likest_line(lines: list[str], wanted: list[str]) -> tuple[int, int] | None:
    """The line that is likest to the longest one that was wanted, and which of the wanted that is."""
    offset = max(range(len(wanted)), key=lambda number: len(wanted[number]))
    matcher = SequenceMatcher(b=wanted[offset], autojunk=False)
    best, best_ratio = -1, 0.6
    for number, line in enumerate(lines):
        matcher.set_seq1(line.strip()[:1_000])
        if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
            ratio = matcher.ratio()
            if ratio > best_ratio:
                best, best_ratio = number, ratio
    return (best, offset) if best >= 0 else None
