"""Makes test modules strict: comparisons do not trust a value's own `__eq__`, and copies of tests must fail.

A value whose `__eq__` always returns True equals what a test expects, but also everything else. A comparison
therefore counts only when both sides are equal as plain data, or when the value differs from other values
that resemble the expected one.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import operator
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

COMPARE, PAIR = "@strict_compare", "@strict_pair"

_random = random.SystemRandom()
_ATOMS = frozenset(
    {int, float, complex, bool, str, bytes, bytearray, type(None), type(Ellipsis), range, slice}
)
_SEQUENCES = (list, tuple)
_SETS = (set, frozenset)
_DATA = (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
_PROBES = 32
_MAX_PAIRS = 20_000
_HUGE = 1e300
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
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_PAIRED = frozenset(
    {
        "assertEqual",
        "assertListEqual",
        "assertTupleEqual",
        "assertDictEqual",
        "assertSetEqual",
        "assertSequenceEqual",
        "assertCountEqual",
        "assertAlmostEqual",
    }
)


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


def tighten(tree: ast.Module) -> None:
    """Route the module's comparisons through `compare`, also those that pytest has already rewritten."""
    _Tighten().visit(tree)


class _Tighten(ast.NodeTransformer):
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        kind = _COMPARED.get(type(node.ops[0]))
        if kind is None or len(node.ops) > 1:
            return node
        return _call(node, COMPARE, ast.Constant(kind), node.left, node.comparators[0])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        plain = len(node.args) >= 2 and not any(isinstance(part, ast.Starred) for part in node.args[:2])
        if plain and isinstance(node.func, ast.Attribute) and node.func.attr in _PAIRED:
            pair = ast.Starred(_call(node, PAIR, *node.args[:2]), ast.Load())
            node.args[:2] = [ast.copy_location(pair, node)]
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        return node


def _call(place: ast.expr, name: str, *arguments: ast.expr) -> ast.Call:
    """Make a call at the source position of `place`.

    Nodes that pytest made have incomplete positions, so only missing ones are filled in.
    """
    call = ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
    for part in (call, call.func, *arguments):
        if not hasattr(part, "lineno"):
            ast.copy_location(part, place)
    return call


def pair(left: Any, right: Any) -> tuple[Any, Any]:
    """Return both, for a function that compares them. Raises AssertionError when one lies about equality."""
    trusted = sys._getframe(1).f_globals
    if _lies(left, right, trusted):
        raise AssertionError(f"{type(left).__name__} claims to equal whatever it is compared with")
    return left, right


def compare(kind: str, left: Any, right: Any) -> Any:
    """Evaluate `left kind right` as Python does, but False when a value gives that answer for anything."""
    if kind in _ORDER:
        return _ordered(kind, left, right)
    trusted = sys._getframe(1).f_globals
    if kind == "eq":
        # Probe before the real comparison: a value may copy the first thing it is compared with.
        lies = _lies(left, right, trusted)
        result = left == right
        return False if lies and _is_true(result) else result
    if kind == "ne":
        result = left != right
        if type(left) in _ATOMS and type(right) in _ATOMS:
            return result
        return False if _is_true(result) and _equal_data(left, right) else result
    inside = left in right
    if inside and _contains_lies(left, right, trusted):
        inside = False
    return inside if kind == "in" else not inside


def _is_true(result: Any) -> bool:
    """Whether the result counts as true. Arrays and the like, whose truth value raises, do not."""
    try:
        return bool(result)
    except Exception:
        return False


def _answers_true(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> bool:
    try:
        return _is_true(operation(left, right))
    except Exception:
        return False


def _equal_data(left: Any, right: Any) -> bool:
    """Whether both are equal as built-in data, ignoring the methods of subclasses."""
    kind: Any
    for kind in _DATA:
        if isinstance(left, kind) and isinstance(right, kind):
            return bool(kind.__eq__(left, right) is True)
    return False


def _lies(left: Any, right: Any, trusted: dict[str, Any]) -> bool:
    """Whether a true `left == right` cannot be trusted. For values that differ the result has no meaning."""
    pairs = [(left, right)]
    for _ in range(_MAX_PAIRS):
        if not pairs:
            return False
        one, other = pairs.pop()
        if type(one) in _ATOMS and type(other) in _ATOMS:
            continue
        inner = _inner_pairs(one, other)
        if inner is None:
            if _leaf_lies(one, other, trusted) or _leaf_lies(other, one, trusted):
                return True
        else:
            pairs += inner
    return False


def _inner_pairs(one: Any, other: Any) -> list[tuple[Any, Any]] | None:
    """Return the pairs at equal positions of two containers; None unless both are containers of one type."""
    kind = type(one)
    if kind is not type(other):
        return None
    if kind in _SEQUENCES:
        return list(zip(one, other, strict=False))
    if kind is dict:
        keys = list(_partners(one, other))
        return keys + [(one[key], other[partner]) for key, partner in keys]
    if kind in _SETS:
        return list(_partners(one, other))
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.eq:  # type: ignore[attr-defined]  # no stub has it
        names = [field.name for field in dataclasses.fields(one) if field.compare]
        return [(getattr(one, name, None), getattr(other, name, None)) for name in names]
    return None


def _partners(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    for key in one:
        if type(key) not in _ATOMS:
            for partner in other:
                if _answers_true(operator.eq, key, partner):
                    yield key, partner
                    break
        elif key in other:
            yield key, key


def _leaf_lies(suspect: Any, expected: Any, trusted: dict[str, Any]) -> bool:
    kind = type(suspect)
    if kind in _ATOMS or suspect is expected or _is_matcher(kind, trusted) or _equal_data(suspect, expected):
        return False
    # In an unpredictable order, for values that answer differently from call to call.
    questions = [(_near(expected), False) for _ in range(_PROBES)] + [(expected, True), (expected, True)]
    _random.shuffle(questions)
    questions.insert(0, (_near(expected), False))
    return any(_answers_true(operator.eq, suspect, asked) is not answer for asked, answer in questions)


def _is_matcher(kind: type, trusted: dict[str, Any]) -> bool:
    """Whether the test module defines the class, or it is unittest.mock.ANY and the module imports it."""
    if kind.__module__ == "unittest.mock" and kind.__name__ == "_ANY":
        return "ANY" in trusted or "mock" in trusted or "unittest" in trusted
    return getattr(kind.__eq__, "__globals__", None) is trusted


def _near(expected: Any) -> Any:
    """Return a random value that resembles the expected one and differs from it."""
    mark = _random.getrandbits(48) + 1
    kind = type(expected)
    if kind is bool:
        return not expected
    if kind in {int, float, complex}:
        return kind(expected + mark) if abs(expected) < _HUGE else kind(mark)
    makers: dict[type, Callable[[], Any]] = {
        str: lambda: f"{expected}{mark}",
        bytes: lambda: expected + str(mark).encode(),
        list: lambda: [*expected, mark],
        tuple: lambda: (*expected, mark),
        set: lambda: {*expected, mark},
        frozenset: lambda: frozenset({*expected, mark}),
        dict: lambda: {**expected, mark: mark},
    }
    return makers[kind]() if kind in makers else _random.choice((object(), mark, str(mark)))


def _ordered(kind: str, left: Any, right: Any) -> Any:
    result = _ORDER[kind](left, right)
    if (type(left) in _ATOMS and type(right) in _ATOMS) or not _is_true(result):
        return result
    for base in (int, float, str, bytes):
        if isinstance(left, base) and isinstance(right, base):
            return getattr(base, f"__{kind}__")(left, right)
    smaller = kind in {"lt", "le"}
    for suspect, other, down in ((left, right, smaller), (right, left, not smaller)):
        # No honest value is below a number far below all, or both below and above another.
        if type(other) in {int, float} and type(suspect) not in _ATOMS:
            far = -_HUGE if down else _HUGE
            asked = operator.lt if down else operator.gt
            against = operator.gt if down else operator.lt
            if _answers_true(asked, suspect, far) or _answers_true(against, suspect, other):
                return False
    return result


def _contains_lies(item: Any, container: Any, trusted: dict[str, Any]) -> bool:
    kind = type(container)
    if type(item) in _ATOMS and kind in _ATOMS:
        return False
    if kind in _SEQUENCES or kind in _SETS or kind is dict:
        if len(container) > _MAX_PAIRS:
            return False
        equals = (part for part in container if part is item or _answers_true(operator.eq, item, part))
        return all(_lies(item, part, trusted) for part in equals)
    if getattr(getattr(kind, "__contains__", None), "__globals__", None) is trusted:
        return False
    mark = str(_random.getrandbits(48))
    return all(
        _answers_true(operator.contains, container, probe) for probe in (object(), mark, mark.encode())
    )
