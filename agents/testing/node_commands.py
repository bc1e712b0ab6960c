"""Reads `node --test` commands: the files that they run, and the tests that must be in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from agents.testing.declared import DeclaredTests, Phase, SkipPromises
from contracts.base.errors import InvalidInput
from contracts.base.languages import NODE
from contracts.base.paths import covers

_START: Final = NODE.commands[0]
_BLOCK_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_CALL: Final = re.compile(
    r"""^(\s*)(?:await\s+)?(test|it|describe|suite)(\.skip|\.todo|)\(\s*(['"`])((?:(?!\4|\\|\$\{).)+)\4"""
)
_SKIP: Final = re.compile(r"\.(?:skip|todo)\b|\b(?:skip|todo)\s*:")


def as_node(argv: tuple[str, ...], files: Mapping[str, bytes]) -> tuple[str, ...] | None:
    """Return the test files that the command runs, sorted; None when it is another command.

    Raises InvalidInput for an option, and when the command runs no file.
    """
    if argv[: len(_START)] != _START:
        return None
    targets = [word.removeprefix("./").rstrip("/") or "." for word in argv[len(_START) :]]
    refused = [target for target in targets if target.startswith("-")]
    if refused:
        raise InvalidInput(
            f"acceptance test option {refused[0]!r} cannot be used; 'node --test' takes files and folders"
        )
    found = {path for path in files if _is_selected(path, targets)}
    if not found:
        raise InvalidInput(f"acceptance test {' '.join(argv)!r}: there is no such test file")
    return tuple(sorted(found))


def _is_selected(path: str, targets: list[str]) -> bool:
    if path in targets:
        return True
    folders = path.split("/")[:-1]
    is_test = NODE.is_test_file(path) or ("test" in folders and path.endswith(NODE.suffixes))
    return is_test and (not targets or any(target == "." or covers(f"{target}/", path) for target in targets))


def declared_in_node(files: Mapping[str, bytes]) -> DeclaredTests:
    """Read the tests that must run, with ids `path::test` or `path::suite > test`, and those with a skip.

    They are read from the source line by line: calls of `test` and `it` that begin a line and have a plain
    name, at the top level or directly inside a suite at the top level. `skip` and `todo` count for the test
    or suite in whose lines they stand, else for the file.
    """
    expected: set[str] = set()
    skips: set[tuple[str, Phase]] = set()
    for path, source in files.items():
        for line, name, is_test in _lines(source.decode("utf-8", "replace")):
            if is_test:
                expected.add(f"{path}::{name}")
            if _SKIP.search(line):
                skips.add((f"{path}::{name}" if name else path, Phase.CALL))
    return DeclaredTests(frozenset(expected), skips=SkipPromises(frozenset(skips)))


def _lines(source: str) -> Iterator[tuple[str, str | None, bool]]:
    """Yield each line, the name of the test or suite that it belongs to, and whether a test begins there."""
    suite: str | None = None
    name: str | None = None
    for line in _BLOCK_COMMENT.sub("", source).splitlines():
        found = _CALL.match(line)
        begins = False
        if found is None:
            if line[:1].strip() and line[:1] != "}":
                suite = name = None
        else:
            indented, kind, skipped, called = bool(found[1]), found[2], found[3], found[5]
            if not indented:
                suite = called if kind in {"describe", "suite"} else None
                name, begins = called, suite is None
            elif suite is not None and kind in {"test", "it"}:
                name, begins = f"{suite} > {called}", True
            else:
                suite = None  # deeper suites are not read
            begins = begins and not skipped
        yield line, name, begins
