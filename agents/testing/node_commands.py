"""Reads `node --test` commands: the files that they run, and the tests that must be in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.base.languages import NODE
from contracts.base.paths import covers

_START: Final = NODE.commands[0]
_BLOCK_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_CALL: Final = re.compile(
    r"""^(\s*)(?:await\s+)?(test|it|describe|suite)\(\s*(['"`])((?:(?!\3|\\|\$\{).)+)\3"""
)


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


def node_tests(path: str, source: bytes) -> frozenset[str]:
    """Return the ids of the tests that must run: `path::test` or `path::suite > test`.

    They are read from the source line by line: calls of `test` and `it` that begin a line and have a plain
    name, at the top level or directly inside a suite at the top level.
    """
    return frozenset(f"{path}::{name}" for name in _names(source.decode("utf-8", "replace")))


def _names(source: str) -> Iterable[str]:
    suite: str | None = None
    for line in _BLOCK_COMMENT.sub("", source).splitlines():
        found = _CALL.match(line)
        if found is None:
            if line[:1].strip() and line[:1] != "}":
                suite = None
            continue
        indented, kind, name = bool(found[1]), found[2], found[4]
        if not indented:
            suite = name if kind in {"describe", "suite"} else None
            if suite is None:
                yield name
        elif suite is not None and kind in {"test", "it"}:
            yield f"{suite} > {name}"
        else:
            suite = None  # deeper suites are not read
