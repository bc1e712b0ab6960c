"""Ids of tests, as pytest gives them: `path::Class::function[parameters]`."""

from __future__ import annotations

import shlex
from typing import Final, NamedTuple

from contracts.base.errors import UnsafePath
from contracts.base.languages import serves_tests
from contracts.base.paths import check_path

_MAX_COMMAND: Final = 500
"""Of an AcceptanceTest."""


class NamedTest(NamedTuple):
    """A test, whatever its parameters are."""

    path: str
    names: tuple[str, ...]
    """Of its classes, from the outermost, then of its function; () for what is no id of a test."""


def named_test(test_id: str) -> NamedTest:
    """Read an id; its parameters may hold anything, `::` and brackets too."""
    path, _, rest = test_id.partition("::")
    return NamedTest(path, tuple(filter(None, rest.partition("[")[0].split("::"))))


def command_of(test_id: str) -> str | None:
    """The command that runs a test alone; None for what is no test of a file of tests, or is too long."""
    path, names = named_test(test_id)
    try:
        check_path(path)
    except UnsafePath:
        return None
    command = shlex.join(["pytest", test_id])
    return command if names and serves_tests(path) and len(command) <= _MAX_COMMAND else None
