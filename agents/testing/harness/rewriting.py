"""Rewrites test modules while pytest compiles them.

What a test compares goes through `strict`; each test says itself that it came to its end; copies of tests
that must fail are added. The functions that do so are constants of the compiled code: there is no name that
code under test could give another meaning.
"""

from __future__ import annotations

import ast
import copy
import os
import secrets
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.In: "in",
    ast.NotIn: "not in",
}
_RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Rewriter:
    """Takes pytest's place when it rewrites and compiles a module of the tests."""

    def __init__(self, strict: Any, guards: Any, sources: dict[str, bytes], twins: dict[str, dict[str, str]]):
        self._strict = strict
        self._guards = guards
        self._sources = sources
        self._twins = twins
        self._bound: dict[str, Any] = {}
        self._mark = f"@{secrets.token_hex(8)} "
        self.replaced: list[str] = []
        """Files whose source was another when it was compiled: code may have rewritten them for a while."""

    def install(self, rewrite: Any) -> None:
        """Change `_pytest.assertion.rewrite`; compiled modules of the tree's cache are not used."""
        self._usual = rewrite.rewrite_asserts
        rewrite.rewrite_asserts = self._rewrite
        rewrite.compile = self._compile
        rewrite._read_pyc = lambda *_, **__: None

    def _rewrite(self, tree: Any, source: bytes, module_path: Any = None, config: Any = None) -> None:
        path = os.path.relpath(module_path) if module_path else ""
        if path not in self._sources:
            self._usual(tree, source, module_path, config)
            return
        if self._sources[path] != source:
            self.replaced.append(path)
        add_twins(tree, self._twins.get(path, {}))
        _Glances(self._call).visit(tree)
        self._usual(tree, source, module_path, config)
        _Tighten(self._call, self._tool, _names_of_any(tree)).visit(tree)
        for test, node in _tests(tree.body, path):
            self._guard(test, node)

    def _constant(self, name: str, value: Any) -> ast.Constant:
        """A constant that becomes `value` once the module is compiled."""
        self._bound[self._mark + name] = value
        return ast.Constant(self._mark + name)

    def _tool(self, name: str) -> ast.Constant:
        return self._constant(name, getattr(self._strict, name))

    def _call(self, place: Any, name: str, *arguments: ast.expr, keywords: Any = ()) -> ast.Call:
        """A call of a function of `strict`, at the source position of `place`.

        Nodes that pytest made have incomplete positions, so only missing ones are filled in.
        """
        function = self._tool(name)
        call = ast.Call(function, list(arguments), list(keywords))
        for part in (call, function, *arguments):
            if not hasattr(part, "lineno"):
                ast.copy_location(part, place)
        return call

    def _guard(self, test: str, node: Any) -> None:
        guard = self._guards(test)
        for part in list(ast.walk(node)):
            if isinstance(part, ast.With | ast.AsyncWith) and any(map(_expects_raise, part.items)):
                call = ast.Call(self._constant(f"{test} unraised", guard.unraised), [], [])
                end = ast.fix_missing_locations(ast.copy_location(ast.Expr(call), part.body[-1]))
                _enclose_what_follows(part)
                part.body.append(end)
        first = 1 if ast.get_docstring(node, clean=False) is not None else 0
        item = ast.withitem(self._constant(f"{test} guard", guard))
        held = ast.With([item], node.body[first:] or [ast.Pass()])
        # The line of a test is that of its `def`, also to whoever asks the compiled code.
        node.body[first:] = [ast.fix_missing_locations(ast.copy_location(held, node))]

    def _compile(self, tree: Any, *arguments: Any, **options: Any) -> types.CodeType:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'str' object is not callable", SyntaxWarning)
            code: types.CodeType = compile(tree, *arguments, **options)
        return self._bind(code)

    def _bind(self, code: types.CodeType) -> types.CodeType:
        bound = code.replace(co_consts=tuple(map(self._final, code.co_consts)))
        self._strict.trust(bound)
        return bound

    def _final(self, constant: Any) -> Any:
        if isinstance(constant, types.CodeType):
            return self._bind(constant)
        return self._bound.get(constant, constant) if type(constant) is str else constant


def add_twins(tree: ast.Module, names: dict[str, str]) -> None:
    """Add, under the given name, a copy of each named test that fails at its first assertion."""
    bodies: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    bodies += [(f"{node.name}::", node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
    for prefix, body in bodies:
        for node in list(body):
            if isinstance(node, ast.FunctionDef) and f"{prefix}{node.name}" in names:
                twin = copy.deepcopy(node)
                twin.name = names[f"{prefix}{node.name}"].rpartition("::")[2]
                first = next(part for part in twin.body if isinstance(part, ast.Assert))
                # The assertion fails for any result, which may differ when a test runs a second time.
                none = ast.Subscript(
                    ast.List([first.test], ast.Load()), ast.Slice(ast.Constant(1)), ast.Load()
                )
                first.test = ast.fix_missing_locations(ast.copy_location(none, first.test))
                body.append(twin)


def _tests(body: list[ast.stmt], scope: str) -> Iterator[tuple[str, Any]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{scope}::{node.name}")
        elif isinstance(node, _FUNCTIONS) and node.name.startswith("test"):
            yield f"{scope}::{node.name}", node


def _enclose_what_follows(block: ast.With | ast.AsyncWith) -> None:
    """Make the items behind the last that expects a raise a block of its own: the end of one may raise."""
    first = 1 + max(at for at, item in enumerate(block.items) if _expects_raise(item))
    if inner := block.items[first:]:
        block.items[first:] = []
        block.body = [ast.copy_location(type(block)(inner, block.body), block)]


def _expects_raise(item: ast.withitem) -> bool:
    function = item.context_expr.func if isinstance(item.context_expr, ast.Call) else None
    return (getattr(function, "attr", None) or getattr(function, "id", None)) in _RAISES


def _names_of_any(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names by which the module calls unittest.mock's ANY, and unittest.mock itself."""
    values, modules = set(), {"unittest.mock"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "unittest.mock":
            values |= {part.asname or part.name for part in node.names if part.name == "ANY"}
        elif isinstance(node, ast.ImportFrom) and node.module == "unittest":
            modules |= {part.asname or part.name for part in node.names if part.name == "mock"}
        elif isinstance(node, ast.Import):
            modules |= {part.asname for part in node.names if part.name == "unittest.mock" and part.asname}
    return values, modules


class _Glances(ast.NodeTransformer):
    """Adds a look before each assertion at what it is likely to call."""

    def __init__(self, call: Callable[..., ast.Call]):
        self._call = call

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        return [ast.copy_location(ast.Expr(self._call(node, "glance")), node), node]


class _Tighten(ast.NodeTransformer):
    """Routes comparisons through `strict`, also those that pytest has already rewritten."""

    def __init__(
        self,
        call: Callable[..., ast.Call],
        tool: Callable[[str], ast.Constant],
        names: tuple[set[str], set[str]],
    ) -> None:
        self._call = call
        self._tool = tool
        self._values, self._mocks = names

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        kind = _COMPARED.get(type(node.ops[0]))
        if kind is None or len(node.ops) > 1:
            return node
        return self._call(node, "compare", ast.Constant(kind), node.left, node.comparators[0])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute) or not node.func.attr.startswith("assert"):
            return node
        name = ast.Constant(node.func.attr)
        return self._call(node, "asserted", node.func, name, *node.args, keywords=node.keywords)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._any(node) if node.id in self._values and isinstance(node.ctx, ast.Load) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr == "ANY" and ast.unparse(node.value) in self._mocks:
            return self._any(node)
        self.generic_visit(node)
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        return node

    def _any(self, node: ast.expr) -> ast.expr:
        """The tests' own: the one of unittest.mock is anybody's."""
        return ast.copy_location(self._tool("ANY"), node)
