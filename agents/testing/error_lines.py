"""Finds the line of a program's output that says what went wrong, and where in the tree."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from agents.testing.stable_text import normalised
from contracts.documents.failure import MAX_ERROR

_MAX_CHARACTERS: Final = 50_000
_MAX_LINE: Final = 2_000
"""What is looked at: the end of the output, and the beginning of each line."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STEPS: Final = (
    re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d+)'),
    re.compile(r"^(?P<path>[^:\s][^:]*):(?P<line>\d+)(?::\d+)?(?::\s*(?P<said>\S.*))?"),
    re.compile(r"(?:file://)?(?P<path>/[^\s():]+):(?P<line>\d+)"),
)
"""A step of a traceback of Python, pytest, compilers and linters, Node.js."""

_PYTEST_ERROR: Final = re.compile(r"^E\s+(?P<error>\S.*)")
_RAISED: Final = re.compile(r"^(?P<error>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*)")
_ERROR: Final = re.compile(r"\berror\b|\bfail(?:ed|ure)?\b|not found", re.IGNORECASE)


class ErrorLine(NamedTuple):
    """What went wrong, on one line, and the step of the tree closest to it."""

    error: str
    path: str | None = None
    line: int | None = None


class _Step(NamedTuple):
    path: str
    line: int
    said: str


def first_error(output: str, tree: Collection[str]) -> ErrorLine:
    """Return the error of an output and its place among the files of `tree`; "" for an empty output.

    An error is what pytest marks with `E`, the last exception that ends a traceback, what a compiler says
    about a file, or a line that speaks of an error; else it is the last line.
    """
    lines = [_COLOUR.sub("", line)[:_MAX_LINE].rstrip() for line in output[-_MAX_CHARACTERS:].splitlines()]
    lines = [line for line in lines if line]
    steps = {number: step for number, line in enumerate(lines) if (step := _step(line, tree)) is not None}
    raised = list(_matches(_RAISED, lines))
    found = next(_matches(_PYTEST_ERROR, lines), None) or (raised[-1] if raised else None)
    if found is not None:
        return _placed(*found, steps)
    for step in steps.values():
        if step.said and not step.said.startswith("in "):
            return ErrorLine(_short(step.said), step.path, step.line)
    spoken = next((number for number, line in enumerate(lines) if _ERROR.search(line)), len(lines) - 1)
    return _placed(spoken, lines[spoken], steps) if lines else ErrorLine("")


def _matches(pattern: re.Pattern[str], lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    found = ((number, pattern.match(line)) for number, line in enumerate(lines))
    return ((number, match["error"]) for number, match in found if match)


def _placed(number: int, error: str, steps: dict[int, _Step]) -> ErrorLine:
    """The error with the step before it, else the first one behind it."""
    before = [at for at in steps if at <= number]
    near = steps[before[-1]] if before else next(iter(steps.values()), None)
    return ErrorLine(_short(error), *(near[:2] if near else ()))


def _step(line: str, tree: Collection[str]) -> _Step | None:
    for pattern in _STEPS:
        match = pattern.search(line)
        if match and (path := _in_tree(match["path"], tree)):
            return _Step(path, max(1, int(match["line"][:9])), match.groupdict().get("said") or "")
    return None


def _in_tree(name: str, tree: Collection[str]) -> str | None:
    """The file of the tree that a path names, which may start at the root of the machine."""
    parts = name.removeprefix("file://").removeprefix("./").split("/")
    if parts[0]:
        return "/".join(parts) if "/".join(parts) in tree else None
    tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return next((tail for tail in tails if tail in tree), None)


def _short(error: str) -> str:
    return normalised(error)[:MAX_ERROR]
