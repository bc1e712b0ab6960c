"""Text as a model is shown it: numbered, and cut in a way that says what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LINE_CHARACTERS = 500
_EDGE = 3
"""Lines that are shown of each end of a piece that the reader knows."""


def numbered(lines: Iterable[str], first: int) -> list[str]:
    """Number lines from `first` on; long ones are cut."""
    return [f"{number:6}\t{cut_line(line)}" for number, line in enumerate(lines, start=first)]


def region(lines: Sequence[str], first: int, last: int, around: int) -> str:
    """Number the lines `first` to `last`, from 1 on, as an excerpt, with so many `around` as a whole."""
    start = max(1, first - around)
    return excerpt(lines[start - 1 : last + around], start, edge=_EDGE + around)


def excerpt(lines: Sequence[str], first: int, edge: int = _EDGE) -> str:
    """Number lines of which the first is `first`; of many, those at both ends."""
    shown = numbered(lines, first)
    if (middle := len(shown) - 2 * edge) > 1:
        shown[edge:-edge] = [f"   ...\t({middle} lines, as they were given)"]
    return "\n".join(shown)


def as_fit(lines: Iterable[str], most: int) -> list[str]:
    """The first lines that have `most` characters together with their ends; one at least."""
    shown: list[str] = []
    for line in lines:
        most -= len(line) + 1
        if shown and most < 0:
            break
        shown.append(line)
    return shown


def cut_line(line: str) -> str:
    """Cut a line that is too long to be read."""
    if len(line) <= _LINE_CHARACTERS:
        return line
    return f"{line[:_LINE_CHARACTERS]}... ({len(line) - _LINE_CHARACTERS} more characters)"


def head_and_tail(text: str, most: int) -> str:
    """Keep the beginning and, as errors stand there, twice as much of the end."""
    if len(text) <= most:
        return text
    head, tail = most // 3, most - most // 3
    left_out = len(text) - head - tail
    note = f"\n... {left_out} characters left out; write the output to a file and read or search that ...\n"
    return text[:head] + note + text[-tail:]
