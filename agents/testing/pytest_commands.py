"""Reads acceptance commands: which of them are pytest, and the files that they run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.base.languages import PYTHON
from contracts.base.paths import covers

_SELECTING: Final = ("-k", "-m")
_DROPPED: Final = frozenset(
    {"-x", "--exitfirst", "-s", "-l", "--no-header", "--no-summary", "--disable-warnings"}
)
_REFUSED: Final = frozenset({"--cov-fail-under"})
_DROPPED_PREFIXES: Final = ("-q", "-v", "-r", "--cov", "--no-cov", "--quiet", "--verbose")
_DROPPED_WITH_VALUE: Final = (
    "--tb",
    "--maxfail",
    "--color",
    "--durations",
    "--cov",
    "--cov-report",
    "--junitxml",
)


@dataclass(frozen=True, slots=True)
class PytestCommand:
    """A pytest command without options that the harness replaces."""

    args: tuple[str, ...]
    """The arguments for pytest."""
    targets: tuple[str, ...]
    """The files, folders and test ids among the arguments, "." when there is none."""
    selective: bool
    """Whether the command selects only some of the targets' tests."""


def split_command(cmd: str) -> tuple[str, ...]:
    """Split a command into words, without a shell. Raises InvalidInput for an open quote or no word."""
    try:
        argv = tuple(shlex.split(cmd))
    except ValueError as error:
        raise InvalidInput(f"acceptance test {cmd!r} cannot be read: {error}") from None
    if not argv:
        raise InvalidInput("an acceptance test is empty; name a command such as 'pytest tests'")
    return argv


def as_pytest(argv: tuple[str, ...]) -> PytestCommand | None:
    """Read a pytest command; None when it is another program.

    Options for output, coverage and stopping early are dropped: every test runs, and the harness reports.
    Raises InvalidInput for an option that could change what a passed test means.
    """
    start = next((start for start in PYTHON.commands if argv[: len(start)] == start), None)
    if start is None:
        return None
    args: list[str] = []
    targets: list[str] = []
    words = iter(argv[len(start) :])
    for word in words:
        if word in _SELECTING:
            args += [word, next(words, "")]
        elif word in _DROPPED_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            targets.append(word.removeprefix("./") or ".")
        elif not _is_dropped(word):
            raise InvalidInput(
                f"acceptance test option {word!r} cannot be used; besides files, folders and test ids, "
                "-k EXPRESSION and -m MARKER are known"
            )
    selective = bool(args) or any("::" in target for target in targets)
    targets = targets or ["."]
    return PytestCommand((*args, *targets), tuple(targets), selective)


def _is_dropped(word: str) -> bool:
    name = word.partition("=")[0]
    if name in _REFUSED:
        return False
    return word in _DROPPED or name in _DROPPED_WITH_VALUE or word.startswith(_DROPPED_PREFIXES)


def selected_files(command: PytestCommand, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files with tests that the command runs."""
    targets = {target.partition("::")[0] for target in command.targets}
    return {
        path: files[path]
        for path in files
        if path in targets or (PYTHON.is_test_file(path) and any(_within(target, path) for target in targets))
    }


def _within(target: str, path: str) -> bool:
    return target == "." or covers(target.rstrip("/") + "/", path)
