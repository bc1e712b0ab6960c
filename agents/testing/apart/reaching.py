"""Finds the tests of a Python file whose source reaches into the process of the code, or uses what does.

The source is read, never executed. What a statement at the top of a file or class says makes the names
suspect that it binds, and whatever mentions a suspect name is suspect, too: a test by itself, a helper or a
fixture by its name, and what runs unasked for all tests around it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from agents.sdk.source import parsed_python

_UNASKED: Final = re.compile(
    r"pytest_\w+|pytestmark|load_tests|(?:async)?(?:set_?up|tear_?down)(?:_?(?:module|class|method|function))?",
    re.IGNORECASE,
)
_UNASKED_OF_CLASS: Final = re.compile(r"run|debug|__\w+__")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scope = ast.Module | ast.ClassDef | _Function
_Binding = ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign


class Reaching:
    """What reaches inside in one file."""

    def __init__(self, path: str, content: bytes, words: re.Pattern[bytes], names: Iterable[str]) -> None:
        """`words`: what reaches inside; `names`: fixtures of other files that do."""
        self._lines = [b"" if line.lstrip().startswith(b"#") else line for line in content.splitlines()]
        self._words = words
        self._names = set(names)
        self.fixtures: set[str] = set()
        """Fixtures of the file that reach inside, by name."""
        self.tests: frozenset[str] = frozenset()
        """Ids, without parameters, of tests and classes; `path` for all of the file."""
        tree = parsed_python(content)
        if tree is None:
            self.tests = frozenset({path} if words.search(content) else ())
        elif words.search(content) or self._names:
            for first, last in _texts(tree, tuple(self._lines)):
                self._lines[first - 1 : last] = [b""] * (last + 1 - first)
            self._read(path, tree.body)

    def _read(self, path: str, body: list[ast.stmt]) -> None:
        count = -1
        while count != len(self._names):
            count = len(self._names)
            known = "|".join(map(re.escape, sorted(self._names)))
            self._known = re.compile(rf"\b(?:{known})\b".encode()) if known else None
            self.tests = frozenset(self._found(path, body))

    def _found(self, scope: str, body: Iterable[ast.stmt]) -> Iterator[str]:
        """Yield the ids of what is suspect, `scope` for all of it; suspect names are noted."""
        for node in _flat(body):
            if not self._is_suspect(_first(node), node.end_lineno or node.lineno):
                continue
            if isinstance(node, ast.ClassDef):
                self._names.add(node.name)
                inside = f"{scope}::{node.name}"
                about = (*node.decorator_list, *node.bases, *node.keywords)
                whole = self._matches(" ".join(map(ast.unparse, about)).encode())
                yield from [inside] if whole else self._found(inside, node.body)
            elif isinstance(node, _Function):
                yield from self._function(scope, node)
            elif isinstance(node, _Binding):
                names = self._bound(node)
                self._names |= names
                yield from [scope] if "*" in names or any(map(_UNASKED.fullmatch, names)) else []
            elif not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
                yield scope

    def _function(self, scope: str, node: _Function) -> Iterator[str]:
        self._names.add(node.name)
        said = " ".join(map(ast.unparse, node.decorator_list))
        if "fixture" in said:
            called = {node.name, *_called(node)}
            self._names |= called
            self.fixtures |= called
        unasked = _UNASKED.fullmatch(node.name) or ("::" in scope and _UNASKED_OF_CLASS.fullmatch(node.name))
        if "autouse" in said or unasked:
            yield scope
        elif node.name.startswith("test"):
            yield f"{scope}::{node.name}"

    def _bound(self, node: _Binding) -> set[str]:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return {part.id for one in targets for part in ast.walk(one) if isinstance(part, ast.Name)}
        module = getattr(node, "module", None) or ""
        # Whoever uses `unittest.mock` by its whole name says so; others may use `unittest`.
        return {
            part.asname or part.name
            for part in node.names
            if (part.asname or "." not in part.name) and self._matches(f"{module}.{part.name}".encode())
        }

    def _is_suspect(self, first: int, last: int) -> bool:
        return self._matches(b"\n".join(self._lines[first - 1 : last]))

    def _matches(self, text: bytes) -> bool:
        return any(pattern is not None and pattern.search(text) for pattern in (self._words, self._known))


def _first(node: ast.stmt) -> int:
    """The line on which a statement begins, its decorators included."""
    before: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in before)])


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements, and instead of a condition for imports those that it is about."""
    for node in body:
        inner = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)]
        if isinstance(node, ast.Try):
            inner += [part for handler in node.handlers for part in handler.body]
        binds = all(isinstance(part, _Binding | ast.Pass) for part in inner)
        yield from inner if binds and isinstance(node, ast.Try | ast.If) else [node]


def _called(node: _Function) -> Iterator[str]:
    """Yield the name that a fixture says it has."""
    for one in node.decorator_list:
        for part in one.keywords if isinstance(one, ast.Call) else ():
            if part.arg == "name" and isinstance(part.value, ast.Constant):
                yield str(part.value.value)


def _texts(tree: ast.Module, lines: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the first and last lines of texts that do nothing, such as docstrings, on lines of their own."""
    for node in ast.walk(tree):
        for before, part in pairwise([node, *getattr(node, "body", ())] if isinstance(node, _Scope) else ()):
            above = 0 if isinstance(before, ast.Module) else before.lineno
            if not isinstance(part, ast.Expr) or not isinstance(part.value, ast.Constant):
                continue
            last = part.end_lineno or part.lineno
            if part.lineno > above and not lines[last - 1][part.end_col_offset :].strip():
                yield part.lineno, last
