"""The text and the syntax tree of a file, and where in the one a part of the other stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import accumulate


class Source:
    def __init__(self, file: str, text: bytes) -> None:
        self.file = file
        self.text = text
        self.tree = ast.parse(text, file)
        self._starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """The bytes of a node, as a start and an end."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def part(self, node: ast.expr | ast.stmt) -> bytes:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def line(self, *nodes: ast.expr | ast.stmt) -> str:
        """The text of nodes in one line."""
        return "; ".join(" ".join(self.part(node).decode().split()) for node in nodes)

    def functions(self) -> Iterator[tuple[str, list[ast.AST]]]:
        """Each scope by its qualified name, with the nodes in it that lie in no inner scope."""
        yield from _scopes("", self.tree)


def _scopes(name: str, scope: ast.AST) -> Iterator[tuple[str, list[ast.AST]]]:
    own: list[ast.AST] = []
    inner: list[tuple[str, ast.AST]] = []
    waiting = list(ast.iter_child_nodes(scope))[::-1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner.append((f"{name}.{node.name}" if name else node.name, node))
        else:
            own.append(node)
            waiting += list(ast.iter_child_nodes(node))[::-1]
    yield name, [scope, *own]
    for inner_name, node in inner:
        yield from _scopes(inner_name, node)


def lines(node: ast.expr | ast.stmt) -> frozenset[int]:
    """The lines of a node that are executed with it: of a compound statement the first alone."""
    body = getattr(node, "body", None)
    end = node.lineno if isinstance(body, list) else node.end_lineno
    return frozenset(range(node.lineno, (end or node.lineno) + 1))
