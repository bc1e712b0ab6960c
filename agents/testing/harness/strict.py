"""Compares what tests compare, without trust in a value's own `__eq__`.

A value whose `__eq__` always returns True equals what a test expects, but also everything else. A comparison
therefore counts only when both sides are equal as plain data, or when the value differs from other values
that resemble the expected one.

Types are told apart by identity, and read past their metaclasses: a class may say that it equals another one.
"""

from __future__ import annotations

import dataclasses
import operator
import random
import types
from collections.abc import Callable, Iterator
from typing import Any

_random = random.SystemRandom()
_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_vars: Callable[[type], Any] = type.__dict__["__dict__"].__get__
_PROBES = 32
_ALIKE = 12
_MAX_PAIRS = 20_000
_HUGE = 1e300
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


class Kinds:
    """A set of types, by identity."""

    def __init__(self, *kinds: type) -> None:
        self.kinds = kinds
        self._ids = frozenset(map(id, kinds))

    def __contains__(self, kind: Any) -> bool:
        return id(kind) in self._ids

    def base_of(self, *kinds: type) -> Any:
        """The first of these types that all the given ones are or derive from; None when there is none."""
        lines = [frozenset(map(id, _mro(kind))) for kind in kinds]
        return next((base for base in self.kinds if all(id(base) in line for line in lines)), None)


_ATOMS = Kinds(int, float, complex, bool, str, bytes, bytearray, type(None), type(Ellipsis), range, slice)
_NUMBERS = Kinds(int, float, complex)
_SEQUENCES = Kinds(list, tuple)
_SETS = Kinds(set, frozenset)
_DATA = Kinds(int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
_ORDERED = Kinds(int, float, str, bytes)


class _Anything:
    """What tests mean by unittest.mock's ANY."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __repr__(self) -> str:
        return "<ANY>"

    __hash__ = object.__hash__


ANY = _Anything()


def _nothing(_one: Any, _other: Any) -> Any:
    return None


beside: Any = types.SimpleNamespace(
    plain=lambda one, other: (one, other), holds=_nothing, lies=_nothing, fields=_nothing
)
"""What comparisons do with values of another process; replaced where there is one."""
_trusted: dict[int, types.CodeType] = {}


def trust(code: types.CodeType) -> None:
    """Take a class for a matcher whose `__eq__` is this code: the code of a module of the tests."""
    _trusted[id(code)] = code


def compare(kind: str, left: Any, right: Any) -> Any:
    """Evaluate `left kind right` as Python does, but False when a value gives that answer for anything."""
    if kind in {"in", "not in"}:
        return _contained(left, right) is (kind == "in")
    left, right = beside.plain(left, right)
    if kind in _ORDER:
        return _ordered(kind, left, right)
    if kind == "eq":
        # Probe before the real comparison: a value may copy the first thing it is compared with.
        lying = lies(left, right)
        result = left == right
        return False if lying and _is_true(result) else result
    if kind == "ne":
        result = left != right
        if type(left) in _ATOMS and type(right) in _ATOMS:
            return result
        return False if _is_true(result) and _equal_data(left, right) else result
    raise ValueError(kind)


def _contained(item: Any, container: Any) -> bool:
    beside.holds(item, container)
    return item in container and not _contains_lies(item, container)


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
    kind = _DATA.base_of(type(left), type(right))
    return kind is not None and kind.__eq__(left, right) is True


def lies(left: Any, right: Any) -> bool:
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
            if _leaf_lies(one, other) or _leaf_lies(other, one):
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
    if _is_compared_by_field(kind):
        names = [field.name for field in dataclasses.fields(one) if field.compare]
        return [(getattr(one, name, None), getattr(other, name, None)) for name in names]
    found: list[tuple[Any, Any]] | None = beside.fields(one, other)
    return found


def _is_compared_by_field(kind: type) -> bool:
    return "__dataclass_fields__" in _vars(kind) and kind.__dataclass_params__.eq  # type: ignore[attr-defined]  # no stub has it


def _partners(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    for key in one:
        if type(key) not in _ATOMS:
            for partner in other:
                if _answers_true(operator.eq, key, partner):
                    yield key, partner
                    break
        elif key in other:
            yield key, key


def _leaf_lies(suspect: Any, expected: Any) -> bool:
    kind = type(suspect)
    if kind in _ATOMS or suspect is expected or _is_matcher(kind) or _equal_data(suspect, expected):
        return False
    if not _is_matcher(type(expected)) and (found := beside.lies(suspect, expected)) is not None:
        return bool(found)
    # Before it meets the expected value, it meets one that looks the same: it may become what it meets first.
    alike = [value for _ in range(_ALIKE) for value in _alike(expected) if value != expected]
    equal = [_answers_true(operator.eq, suspect, asked) for asked in alike]
    if alike and all(equal):
        return True
    # In an unpredictable order, for values that answer differently from call to call.
    questions = [(_near(expected), False) for _ in range(_PROBES)] + [(expected, True), (expected, True)]
    _random.shuffle(questions)
    questions.insert(0, (_near(expected), False))
    return any(_answers_true(operator.eq, suspect, asked) is not answer for asked, answer in questions)


def _is_matcher(kind: type) -> bool:
    """Whether the tests define the class, or it is their ANY."""
    return kind is _Anything or _is_trusted(kind, "__eq__")


def _is_trusted(kind: type, name: str) -> bool:
    """Whether the method is one that the source of the tests defines."""
    for part in _mro(kind):
        if name in _vars(part):
            method = _vars(part)[name]
            return type(method) is types.FunctionType and id(method.__code__) in _trusted
    return False


def _near(expected: Any) -> Any:
    """Return a random value that resembles the expected one and differs from it."""
    mark = _random.getrandbits(48) + 1
    kind = type(expected)
    if kind is bool:
        return not expected
    if kind in _NUMBERS:
        return kind(expected + mark) if abs(expected) < _HUGE else kind(mark)
    makers: tuple[tuple[type, Callable[[], Any]], ...] = (
        (str, lambda: f"{expected}{mark}"),
        (bytes, lambda: expected + str(mark).encode()),
        (list, lambda: [*expected, mark]),
        (tuple, lambda: (*expected, mark)),
        (set, lambda: {*expected, mark}),
        (frozenset, lambda: frozenset({*expected, mark})),
        (dict, lambda: {**expected, mark: mark}),
    )
    make = next((make for made, make in makers if made is kind), None)
    return make() if make else _random.choice((object(), mark, str(mark)))


def _alike(expected: Any) -> Iterator[Any]:
    """Yield a value of the same kind and size; to an honest value that is tolerant some are equal."""
    kind = type(expected)
    if kind is int or kind is float:
        offset = _random.randrange(1, 10 + int(min(abs(expected), _PROBES)))
        yield expected + _random.choice((offset, -offset))
    elif (kind is str or kind is bytes) and expected:
        place = _random.randrange(len(expected))
        letter = _random.choice("abcdefghijklmnopqrstuvwxyz0123456789")
        middle = letter if kind is str else letter.encode()
        yield expected[:place] + middle + expected[place + 1 :]
    elif kind in _SEQUENCES and expected:
        place = _random.randrange(len(expected))
        changed = list(_alike(expected[place])) or [None]
        yield kind([*expected[:place], *changed, *expected[place + 1 :]])
    elif kind is dict and expected:
        key = _random.choice(list(expected))
        yield {**expected, key: next(_alike(expected[key]), None)}
    elif expected is None:
        yield _random.choice((False, 0, ""))


def _ordered(kind: str, left: Any, right: Any) -> Any:
    result = _ORDER[kind](left, right)
    if (type(left) in _ATOMS and type(right) in _ATOMS) or not _is_true(result):
        return result
    base = _ORDERED.base_of(type(left), type(right))
    if base is not None:
        return getattr(base, f"__{kind}__")(left, right)
    smaller = kind in {"lt", "le"}
    for suspect, other, down in ((left, right, smaller), (right, left, not smaller)):
        # No honest value is below a number far below all, or both below and above another.
        if type(other) in _NUMBERS and type(suspect) not in _ATOMS:
            far = -_HUGE if down else _HUGE
            asked = operator.lt if down else operator.gt
            against = operator.gt if down else operator.lt
            if _answers_true(asked, suspect, far) or _answers_true(against, suspect, other):
                return False
    return result


def _contains_lies(item: Any, container: Any) -> bool:
    kind = type(container)
    if type(item) in _ATOMS and kind in _ATOMS:
        return False
    if kind in _SEQUENCES or kind in _SETS or kind is dict:
        if len(container) > _MAX_PAIRS:
            return False
        equals = (part for part in container if part is item or _answers_true(operator.eq, item, part))
        return all(lies(item, part) for part in equals)
    if _is_trusted(kind, "__contains__"):
        return False
    mark = str(_random.getrandbits(48))
    return all(
        _answers_true(operator.contains, container, probe) for probe in (object(), mark, mark.encode())
    )
