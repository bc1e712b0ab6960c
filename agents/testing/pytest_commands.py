"""Reads acceptance commands: which of them are pytest, and the tests that they must run."""

from __future__ import annotations

import ast
import shlex
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

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


_Test: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


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


def expected_tests(command: PytestCommand, files: Mapping[str, bytes]) -> frozenset[str]:
    """Return the ids, without parameters, of tests that must run. The source is read, never executed."""
    if command.selective:
        return frozenset()
    return frozenset(test for test, _ in _selected_tests(command, files))


def failable_tests(command: PytestCommand, files: Mapping[str, bytes]) -> frozenset[str]:
    """Return those expected tests that always fail when their first assertion fails.

    The assertion must be at the top level of the test, with no statement before it that may leave the test.
    """
    if command.selective:
        return frozenset()
    return frozenset(test for test, node in _selected_tests(command, files) if _is_failable(node))


def _is_failable(node: _Test) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    for part in node.body:
        if isinstance(part, ast.Assert):
            return True
        if any(isinstance(inner, ast.Return | ast.Yield | ast.YieldFrom) for inner in ast.walk(part)):
            return False
    return False


def _selected_tests(command: PytestCommand, files: Mapping[str, bytes]) -> Iterator[tuple[str, _Test]]:
    for path, content in files.items():
        named = path in command.targets
        selected = PYTHON.is_test_file(path) and any(_within(target, path) for target in command.targets)
        if named or selected:
            for name, node in _tests_of(content):
                yield f"{path}::{name}", node


def _within(target: str, path: str) -> bool:
    return target == "." or covers(target.rstrip("/") + "/", path)


def _tests_of(source: bytes) -> Iterator[tuple[str, _Test]]:
    tree = parsed_python(source)
    for node in tree.body if tree else ():
        if _is_test(node):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test") and _is_collected(node):
            yield from ((f"{node.name}::{part.name}", part) for part in node.body if _is_test(part))


def _is_test(node: ast.stmt) -> TypeGuard[_Test]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test"):
        return False
    return not any(_names(decorator, "fixture") for decorator in node.decorator_list)


def _is_collected(node: ast.ClassDef) -> bool:
    defined = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    marked = any(_names(part, "__test__") for part in node.body if isinstance(part, ast.Assign))
    return defined.isdisjoint({"__init__", "__new__"}) and not marked


def _names(node: ast.AST, name: str) -> bool:
    return any(name in (getattr(part, "id", None), getattr(part, "attr", None)) for part in ast.walk(node))


def parsed_python(source: bytes | str) -> ast.Module | None:
    """Parse Python; None when it is invalid. Nothing is compiled or executed."""
    tree, _ = _parse(source)
    return tree


def python_problem(source: str) -> str | None:
    """Say why the text is not valid Python; None when it is valid.

    The parser's own message is left out, because it differs between Python versions.
    """
    _, problem = _parse(source)
    return problem


def _parse(source: bytes | str) -> tuple[ast.Module | None, str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source), None
        except SyntaxError as error:
            return None, f"line {error.lineno or 1} is not valid Python"
        except (ValueError, RecursionError, MemoryError):
            return None, "it is not valid Python"
