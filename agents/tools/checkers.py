"""Commands that check code: with which files they are called, and which of their findings are new."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from contracts.base.languages import CHECKERS, LANGUAGES, PYTHON

FILE: Final = "{file}"
"""In a command: a file that the work wrote."""

_PYTHON: Final = (("python",), ("python3",))
_LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "bandit": ("--quiet", "--format=custom", "--msg-template={relpath}:{line}: {test_id} {severity}: {msg}"),
    "mypy": ("--no-pretty", "--no-error-summary"),
    "ruff": ("--output-format=concise",),
}
"""With what a checker writes each finding on a line that begins with its place."""
_RUFF_FORMAT: Final = "--output-format"
_PLACE: Final = re.compile(r":\d+(?::\d+)?")
_LINE: Final = re.compile(r"\bline \d+")
"""Of a finding: what stands above it moves both."""
_BETWEEN: Final = re.compile(r"[\s:(),'\"]+")
_OUTSIDE: Final = re.compile(r"^(?:\./|/work/)")


def checking(argv: Sequence[str]) -> tuple[str, ...]:
    """A command as it is run: a known checker by its own name, and so that each finding is one line."""
    words = tuple(argv)
    if words[:1] in _PYTHON and words[1:2] == ("-m",) and words[2:3] and words[2] in CHECKERS:
        words = words[2:]
    if words[:1] == ("ruff",) and (words[1:2] != ("check",) or _RUFF_FORMAT in " ".join(words)):
        return words
    return (*words, *_LINES.get(words[0], ())) if words else ()


def is_checker(argv: Sequence[str]) -> bool:
    """Whether a command, as `checking` returns it, is that of a known checker."""
    return bool(argv) and argv[0] in CHECKERS


def files_for(argv: Sequence[str], paths: Iterable[str]) -> list[str]:
    """The files of code among `paths` that a command is about: those in its program's language."""
    of_program = [one for one in LANGUAGES if argv[0].rstrip("3") == one.program]
    languages = (PYTHON,) if is_checker(argv) else of_program or LANGUAGES
    suffixes = tuple(suffix for language in languages for suffix in language.suffixes)
    return sorted(path for path in paths if path.endswith(suffixes))


def filled(argv: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """Fill in `{file}` for all files: at once for a known checker, else one after the other."""
    if not any(FILE in word for word in argv):
        return tuple(argv)
    names = [f"./{path}" if path.startswith("-") else path for path in paths]
    if is_checker(argv) and all(word == FILE for word in argv if FILE in word):
        return tuple(name for word in argv for name in (names if word == FILE else [word]))
    words = ['"$file"'.join(shlex.quote(part) if part else "" for part in word.split(FILE)) for word in argv]
    loop = f"for file; do {' '.join(word or repr('') for word in words)} || end=$?; done; exit ${{end:-0}}"
    return ("sh", "-c", loop, "sh", *names)


def findings(output: str, tree: Collection[str]) -> list[str]:
    """The lines of an output that name a file of the tree; by file, as some check several in no order."""
    lines = (line.strip() for line in output.splitlines())
    named = [(path, line) for line in lines if (path := _file_in(line, tree)) is not None]
    return [line for _, line in sorted(named, key=lambda one: one[0])]


def without_places(found: Iterable[str]) -> Counter[str]:
    """Findings, each without where it stands, and how often it is there."""
    return Counter(map(_without_place, found))


def new_findings(found: Iterable[str], before: Counter[str]) -> list[str]:
    """The findings that were not there, however those that were have moved."""
    left = Counter(before)
    new: list[str] = []
    for line in found:
        plain = _without_place(line)
        if left[plain]:
            left[plain] -= 1
        else:
            new.append(line)
    return new


def _without_place(line: str) -> str:
    return _LINE.sub("line", _PLACE.sub("", line, count=1))


def _file_in(line: str, tree: Collection[str]) -> str | None:
    words = (_OUTSIDE.sub("", word) for word in _BETWEEN.split(line))
    return next((word for word in words if word and word in tree), None)
