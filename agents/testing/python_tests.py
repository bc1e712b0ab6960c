"""Reads Python tests: which there are, which of them always can fail, and which say that they may be skipped.

The source is read, never executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias, TypeGuard

from agents.sdk.source import parsed_python
from agents.testing.declared import DeclaredTests, Phase, SkipPromises

_Test: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_MARKS: Final = frozenset({"skip", "skipif"})
_MARK_NAMES: Final = frozenset({"pytest.mark", "mark"})
_SKIPS: Final = _MARKS | {
    "skipIf",
    "skipUnless",
    "skipTest",
    "SkipTest",
    "xfail",
    "expectedFailure",
    "importorskip",
}


def declared_in_python(files: Mapping[str, bytes]) -> DeclaredTests:
    """Read files with tests, and the `conftest.py` files that belong to them."""
    expected: set[str] = set()
    failable: set[str] = set()
    plain: set[str] = set()
    promises: set[tuple[str, Phase]] = set()
    for path, content in files.items():
        if (tree := parsed_python(content)) is None:
            continue
        if path.rpartition("/")[2] == "conftest.py":
            promises |= {(path.removesuffix("conftest.py"), phase) for phase in _phases(tree)}
            continue
        tests = {f"{path}::{name}": node for name, node in _tests_of(tree)}
        expected |= tests.keys()
        failable |= {test for test, node in tests.items() if _is_failable(node)}
        plain |= {test for test, node in tests.items() if all(map(_is_pytest_mark, node.decorator_list))}
        promises |= set(_promises(path, tree.body))
    return DeclaredTests(
        frozenset(expected), frozenset(failable), frozenset(plain), SkipPromises(frozenset(promises))
    )


def _promises(scope: str, body: Iterable[ast.stmt]) -> Iterator[tuple[str, Phase]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            name = f"{scope}::{node.name}"
            yield from _promises(name, node.body)
            yield from ((name, phase) for part in node.decorator_list for phase in _phases(part))
        elif _is_test(node):
            yield from ((f"{scope}::{node.name}", phase) for phase in _phases(node))
        else:
            # A fixture or helper is called while a test runs; other statements run when the file is read.
            deferred = any(isinstance(part, _Test | ast.ClassDef) for part in ast.walk(node))
            for part in _mentions(node):
                yield scope, _phase(part) if deferred or _is_mark(part) else Phase.COLLECT


def _phases(node: ast.AST) -> set[Phase]:
    """When what the source says here may end a test."""
    return {_phase(part) for part in _mentions(node)}


def _mentions(node: ast.AST) -> Iterator[ast.Attribute | ast.Name]:
    for part in ast.walk(node):
        if (isinstance(part, ast.Attribute) and part.attr in _SKIPS) or (
            isinstance(part, ast.Name) and part.id in _SKIPS and isinstance(part.ctx, ast.Load)
        ):
            yield part


def _phase(part: ast.Attribute | ast.Name) -> Phase:
    """A mark `skip` acts before the test starts, anything else at any time."""
    return Phase.SETUP if _is_mark(part) and part.attr in _MARKS else Phase.CALL


def _is_mark(part: ast.Attribute | ast.Name) -> TypeGuard[ast.Attribute]:
    return isinstance(part, ast.Attribute) and _names(part.value, "mark")


def _is_pytest_mark(decorator: ast.expr) -> bool:
    mark = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(mark, ast.Attribute) and ast.unparse(mark.value) in _MARK_NAMES


def _is_failable(node: _Test) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    for part in node.body:
        if isinstance(part, ast.Assert):
            return True
        if any(isinstance(inner, ast.Return | ast.Yield | ast.YieldFrom) for inner in ast.walk(part)):
            return False
    return False


def _tests_of(tree: ast.Module) -> Iterator[tuple[str, _Test]]:
    for node in tree.body:
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
