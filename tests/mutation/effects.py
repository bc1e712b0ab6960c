"""Neighbouring effects: calls for what they do, awaited calls, and what is written to an object beside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from tests.mutation.mutant import Edit, Kind, Mutant
from tests.mutation.source import Source, lines

_LOGS = frozenset({"log", "logger", "_log"})
_WITHOUT_EFFECT = frozenset({"failpoint", "failpoint_of"})

_CONSTRUCTORS = frozenset({"", "__init__", "__post_init__"})
"""Where what is made is nobody's yet; and the top of a module, which only defines."""


def effects(source: Source) -> Iterator[Mutant]:
    """Each pair of neighbours swapped, and each neighbour dropped once; log lines do not part neighbours."""
    for function, nodes in source.functions():
        if function.rpartition(".")[2] in _CONSTRUCTORS:
            continue
        for node in nodes:
            for block in _blocks(node):
                yield from _of_block(source, function, block)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _of_block(source: Source, function: str, block: list[ast.stmt]) -> Iterator[Mutant]:
    dropped: list[ast.stmt] = []
    for first, second in pairwise(one for one in block if not _is_silent(one)):
        if not (_is_effect(first) and _is_effect(second)) or (_writes(first) and _writes(second)):
            continue
        if not _bound(first) & _read(second) and source.part(first) != source.part(second):
            yield _swapped(source, function, first, second)
        dropped += [one for one in (first, second) if one not in dropped and not _bound(one)]
    for one in dropped:
        edit = Edit(*source.span(one), b"pass")
        yield Mutant(source.file, function, Kind.DROPPED, source.line(one), lines(one), (edit,))


def _swapped(source: Source, function: str, first: ast.stmt, second: ast.stmt) -> Mutant:
    edits = (
        Edit(*source.span(first), source.part(second)),
        Edit(*source.span(second), source.part(first)),
    )
    text = source.line(first, second)
    return Mutant(source.file, function, Kind.SWAPPED, text, lines(first), edits)


def _is_silent(statement: ast.stmt) -> bool:
    """Whether it is a log line or a failpoint, which change nothing."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    if isinstance(call.func, ast.Attribute):
        return isinstance(call.func.value, ast.Name) and call.func.value.id in _LOGS
    return isinstance(call.func, ast.Name) and call.func.id in _WITHOUT_EFFECT


def _is_effect(statement: ast.stmt) -> bool:
    return _calls(statement) or _writes(statement)


def _calls(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Assign(value=ast.Await()):
            return True
        case ast.AnnAssign(value=ast.Await()):
            return True
    return False


def _writes(statement: ast.stmt) -> bool:
    """Whether it only changes an attribute or an item."""
    match statement:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets) if not _calls(statement):
            return all(isinstance(one, ast.Attribute | ast.Subscript) for one in targets)
        case ast.AugAssign(target=target):
            return isinstance(target, ast.Attribute | ast.Subscript)
    return False


def _bound(statement: ast.stmt) -> frozenset[str]:
    """The names that it binds."""
    return frozenset(
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _read(statement: ast.stmt) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
