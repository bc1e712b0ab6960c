"""Makes messages of programs equal in every run, on every machine and Python version."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 500
_MAX_LINE: Final = 10_000
"""What is shortened; the rest is cut off before."""

_RULES: Final = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\s+at 0x[0-9a-fA-F]+"), ""),
    (re.compile(r"\b0x[0-9a-fA-F]{6,}\b"), "0x..."),
    (re.compile(r"(?<![\w.:/])/(?:[\w.@+-]+/)+"), ""),
    (re.compile(r"\b\d+\.\d+ ?(?:s|ms|us|seconds?)\b"), "(time)"),
    (re.compile(r"<class '([\w.]+)'>"), r"\1"),
    (re.compile(r"^AssertionError: (?=assert )"), ""),
    (re.compile(r"[.;]? ?Did you (?:mean|forget)\b.*"), ""),
)


def normalised(message: str) -> str:
    """Return the first line that is not empty, without addresses, local folders, durations and hints."""
    line = next((part.strip() for part in message.splitlines() if part.strip()), "")
    shown = _stable(line[:_MAX_LINE])
    return shown if len(shown) <= MAX_CHARACTERS else shown[:MAX_CHARACTERS] + "..."


def normalised_lines(text: str) -> str:
    """Return all lines, each without what differs between runs; how they are indented stays."""
    return "\n".join(_stable(line.rstrip().expandtabs(4)[:_MAX_LINE]) for line in text.splitlines())


def normalised_tail(output: bytes, *, lines: int = 20) -> str:
    """Return the last lines of a program's output, each normalised."""
    text = output[-20_000:].decode("utf-8", "replace")
    kept = [line for line in (normalised(part) for part in text.splitlines()) if line]
    return "\n".join(kept[-lines:])


def _stable(line: str) -> str:
    for pattern, replacement in _RULES:
        line = pattern.sub(replacement, line)
    return "".join(char if char.isprintable() else "?" for char in line)
