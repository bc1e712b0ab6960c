"""Notices that functions, classes or data were replaced, and which tests came to their end."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import Any

_KINDS = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    property,
    staticmethod,
    classmethod,
)
_DATA = (str, int, float, tuple, frozenset)
_CHANGING = frozenset({"__doc__", "__abstractmethods__", "__dict__", "__weakref__", "__annotations__"})
_MISSING = object()
_slots = attrgetter("__code__", "__defaults__", "__kwdefaults__")
_SLOTS = 3


class Seal:
    """Names and what they stood for: functions and their parts, classes and theirs, and data of modules."""

    def __init__(self) -> None:
        self._names: list[tuple[Mapping[str, Any], str, Any, str]] = []
        self._functions: dict[int, tuple[types.FunctionType, tuple[Any, ...], str]] = {}
        self._complete: list[tuple[Mapping[str, Any], frozenset[str], str]] = []
        self._quick: _Quick | None = None

    def add_module(self, label: str, space: Mapping[str, Any], *, only: Iterable[str] | None = None) -> None:
        """Watch what a module's names stand for, those in `only` whatever it is."""
        for name in list(space) if only is None else only:
            value = space.get(name, _MISSING)
            if only is not None or (isinstance(value, (*_KINDS, *_DATA)) and not name.startswith("__")):
                self._add(space, name, value, f"{label}.{name}" if label else name)

    def add_class(self, label: str, kind: type) -> None:
        """Watch a class: what it has, and that nothing is added to it."""
        space = vars(kind)
        for name, value in list(space.items()):
            if name not in _CHANGING and isinstance(value, (*_KINDS, *_DATA)):
                self._add(space, name, value, f"{label}.{name}")
        self._complete.append((space, frozenset(space), label))

    def _add(self, space: Mapping[str, Any], name: str, value: Any, label: str) -> None:
        self._quick = None
        self._names.append((space, name, value, label))
        function = getattr(value, "__func__", value)  # of static and class methods
        for part in (function, *_accessors(value)):
            if isinstance(part, types.FunctionType):
                self._functions[id(part)] = (part, _parts(part), label)

    def adopt(self, below: str, is_own: Callable[[Any], bool]) -> None:
        """Let names below a label stand for what replaced or joined them, where that is somebody's own."""
        self._quick = None
        for at, (space, names, label) in enumerate(self._complete):
            if label.startswith(below):
                own = [name for name in _added(space, names) if is_own(space[name])]
                self._complete[at] = (space, names.union(own), label)
                for name in own:
                    self._add(space, name, space[name], f"{label}.{name}")
        for at, (space, name, value, label) in enumerate(list(self._names)):
            found = space.get(name, _MISSING)
            if found is not value and label.startswith(below) and is_own(found):
                self._names[at] = (space, name, found, label)
                self._functions[id(found)] = (found, _parts(found), label)

    def broken(self) -> Iterator[str]:
        """Yield what is no longer as it was."""
        if self._quick is None:
            self._quick = _Quick(self._names, self._functions.values())
        if not self._quick.is_whole():
            yield from self._replaced()
        for space, names, label in self._complete:
            if len(space) > len(names):
                yield from (f"{label}.{name}" for name in _added(space, names))

    def _replaced(self) -> Iterator[str]:
        for space, name, value, label in self._names:
            if space.get(name, _MISSING) is not value:
                yield label
        for function, parts, label in self._functions.values():
            if any(old is not new for old, new in zip(parts, _parts(function), strict=True)):
                yield label


class _Quick:
    """Tells whether any name or part of a function was replaced, but not which.

    Each test is followed by looks at thousands of them, nearly all in vain: so they are compared all at once.
    """

    def __init__(
        self,
        names: Iterable[tuple[Mapping[str, Any], str, Any, str]],
        functions: Collection[tuple[types.FunctionType, tuple[Any, ...], str]],
    ) -> None:
        known: dict[int, tuple[Mapping[str, Any], list[str], list[Any]]] = {}
        for space, name, value, _ in names:
            _, ids, values = known.setdefault(id(space), (space, [], []))
            ids.append(name)
            values.append(value)
        # The first one twice, since the getter of a single name gives no tuple.
        self._spaces = [(itemgetter(*ids, ids[0]), space) for space, ids, _ in known.values()]
        sealed = [(*values, values[0]) for _, _, values in known.values()]
        self._functions = [function for function, *_ in functions]
        self._cells = [cell for function in self._functions for cell in function.__closure__ or ()]
        parts = [parts for _, parts, _ in functions]
        slots, contents = [one[:_SLOTS] for one in parts], [one[_SLOTS:] for one in parts]
        self._sealed = tuple(chain(*sealed, *slots, *contents))

    def is_whole(self) -> bool:
        """Whether everything is as it was when this was made."""
        spaces = (names(space) for names, space in self._spaces)
        found = chain(spaces, map(_slots, self._functions), (map(_content, self._cells),))
        try:
            return all(map(is_, chain.from_iterable(found), self._sealed))
        except KeyError:
            return False


def _added(space: Mapping[str, Any], names: frozenset[str]) -> Iterator[str]:
    """What a class has come to have; pytest notes on some of its own that a warning was given."""
    return (name for name in space if name not in names and type(space[name]) is not bool)


def _accessors(value: Any) -> tuple[Any, ...]:
    return (value.fget, value.fset) if type(value) is property else ()


def _parts(function: types.FunctionType) -> tuple[Any, ...]:
    cells = tuple(_content(cell) for cell in function.__closure__ or ())
    return (*_slots(function), *cells)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


class Guard:
    """Surrounds the body of one test, and says when it came to its end without an exception."""

    def __init__(self, test: str, check: Callable[[], bool], tell: Callable[[str], None]) -> None:
        self._test = test
        self._check = check
        self._tell = tell
        self._unraised = False

    def __enter__(self) -> None:
        self._unraised = False

    def unraised(self) -> None:
        """The end of a block that was to raise was reached: this test must fail."""
        self._unraised = True

    def __exit__(self, kind: Any, *_: object) -> None:
        if self._check() and kind is None and not self._unraised:
            self._tell(self._test)
