"""Text as a model is shown it: numbered, and cut in a way that says what is left out."""

from __future__ import annotations

from collections.abc import Iterable

_LINE_CHARACTERS = 500


def numbered(lines: Iterable[str], first: int) -> str:
    """Number lines from `first` on; long ones are cut."""
    return "\n".join(f"{number:6}\t{cut_line(line)}" for number, line in enumerate(lines, start=first))


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
