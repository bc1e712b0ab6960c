"""Guards: the conditions of `if`, elif, conditional expressions, filters of comprehensions and cases."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutation.mutant import Edit, Kind, Mutant
from tests.mutation.source import Source, lines

_UNTRACED = (ast.Pass, ast.Continue, ast.Break)
"""Statements that the compiler may merge with a jump, so that their lines are never seen."""


@dataclass(frozen=True, slots=True)
class _Guard:
    """when_true, when_false: what is executed only then, where it has lines of its own."""

    test: ast.expr
    at: frozenset[int]
    when_true: frozenset[int] = frozenset()
    when_false: frozenset[int] = frozenset()


def guards(source: Source) -> Iterator[Mutant]:
    """Two mutants of each guard. The condition is still evaluated: it may have effects, or bind a name."""
    for function, nodes in source.functions():
        for node in nodes:
            for guard in _guards_of(node):
                yield _forced(source, function, guard, Kind.ALWAYS)
                yield _forced(source, function, guard, Kind.NEVER)


def _guards_of(node: ast.AST) -> Iterator[_Guard]:
    match node:
        case ast.If(test=test) if not _only_for_a_type_checker(test):
            yield _Guard(test, lines(test), _own_lines(node.body), _own_lines(node.orelse))
        case ast.IfExp(test=test):
            yield _Guard(test, lines(node))
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield _Guard(test, lines(node.target) | lines(test))
        case ast.match_case(guard=ast.expr() as test):
            yield _Guard(test, lines(test), _own_lines(node.body))


def _own_lines(body: list[ast.stmt]) -> frozenset[int]:
    """The lines that show that a block was entered, none where that cannot be seen."""
    return lines(body[0]) if body and not isinstance(body[0], _UNTRACED) else frozenset()


def _only_for_a_type_checker(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _forced(source: Source, function: str, guard: _Guard, kind: Kind) -> Mutant:
    start, end = source.span(guard.test)
    text = source.part(guard.test)
    # Only an execution in which the condition was otherwise can notice.
    other = guard.when_false if kind is Kind.ALWAYS else guard.when_true
    forced = b"((%s) or True)" if kind is Kind.ALWAYS else b"((%s) and False)"
    edit = Edit(start, end, forced % text)
    return Mutant(source.file, function, kind, source.line(guard.test), other or guard.at, (edit,))
