"""Stands for values of the code under test in the process of the tests: modules, classes and their instances.

Whatever is done to one is asked of the other process; see `peer.py`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

# Where a class, a module or an error keeps what it is; no name that code could use.
_PEER, _NUMBER, _BY_FIELD, _TEXT = "@peer", "@number", "@by_field", "@text"
_DATA, _DERIVES = "@data", "@derives"
# Whose classes tests may have too, which a stand-in is not; without those that they seldom look for.
_LIBRARY = sys.stdlib_module_names - {"abc", "builtins", "enum", "typing"}
_CONTAINERS = (list, tuple, set, frozenset, dict)
# What Python would answer from the stand-in, which has none of it.
_OF_CLASSES = frozenset(f"__{name}__" for name in ("doc", "slots", "annotations", "dict", "bases", "mro"))
_OF_MODULES = frozenset({"__all__", "__doc__", "__version__", "__author__"})
_OF_VALUES = frozenset({"__doc__", "__module__"})
_SLOT, _HASH = "_number_of_the_harness", "_hash_of_the_harness"


def is_error(kind: Any) -> bool:
    """Whether it is a class of exceptions."""
    return isinstance(kind, type) and issubclass(kind, BaseException)


_space: Callable[[type], Any] = type.__dict__["__dict__"].__get__
_line: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_inside: Callable[[types.ModuleType], dict[str, Any]] = vars(types.ModuleType)["__dict__"].__get__


def _peer_of(kind: Any) -> Any:
    return _space(kind)[_PEER]


class Class(type):
    """The type of classes of the other side."""

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any], **_: Any) -> Any:
        """Raise OneProcess: the tests derive a class from one of the code's."""
        peer = next(_peer_of(base) for base in bases if isinstance(base, Class) and base is not _Value)
        raise peer.refuse(f"the tests derive {name} from a class of the code")

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        return _peer_of(cls).ask("call", cls, arguments, options)

    def __getattribute__(cls, name: str) -> Any:
        __tracebackhide__ = True
        if name in _OF_CLASSES and _PEER in _space(cls):
            return _peer_of(cls).ask("get", cls, name)
        return type.__getattribute__(cls, name)

    def __getattr__(cls, name: str) -> Any:
        __tracebackhide__ = True
        if name in _OF_CLASSES or name.startswith(("__abstract", "__set_name", "@")):
            raise AttributeError(name)
        return _peer_of(cls).ask("get", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        _peer_of(cls).ask("set", cls, name, value)

    def __instancecheck__(cls, instance: Any) -> bool:
        known = is_stand_in(instance) and any(part is cls for part in _line(type(instance)))
        return known or bool(_peer_of(cls).ask("instance", instance, cls))

    def __iter__(cls) -> Any:
        return _peer_of(cls).ask("special", cls, "__iter__", ())

    def __len__(cls) -> Any:
        return _peer_of(cls).ask("special", cls, "__len__", ())

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: Any) -> Any:
        return _peer_of(cls).ask("special", cls, "__getitem__", (key,))

    def __contains__(cls, item: Any) -> bool:
        return bool(_peer_of(cls).ask("special", cls, "__contains__", (item,)))


def _look(value: Any, name: str) -> Any:
    __tracebackhide__ = True
    kind = type(value)
    if name == "__class__" and _space(kind).get(_DERIVES) and _peer_of(kind).is_testing:
        # What `isinstance` asks last: it would not see what the original derives from.
        raise _peer_of(kind).refuse(f"the tests look at what a {kind.__name__} of the code is")
    return _get(value, name) if name in _OF_VALUES else object.__getattribute__(value, name)


def _get(value: Any, name: str) -> Any:
    __tracebackhide__ = True
    return _peer_of(type(value)).ask("get", value, name)


def _put(value: Any, name: str, content: Any) -> None:
    __tracebackhide__ = True
    _peer_of(type(value)).ask("set", value, name, content)


def _drop(value: Any, name: str) -> None:
    __tracebackhide__ = True
    _peer_of(type(value)).ask("delete", value, name)


_Value: Any = type.__new__(
    Class,
    "Value",
    (),
    {
        "__slots__": (_SLOT, _HASH, "__weakref__"),
        "__getattribute__": _look,
        "__getattr__": _get,
        "__setattr__": _put,
        "__delattr__": _drop,
        "__module__": "apart",
    },
)


class Module(types.ModuleType):
    """A module of the other side."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # what `import *` reads
        """Its names with what they stand for, as they are now."""
        __tracebackhide__ = True
        names = _inside(self)[_PEER].ask("names", self)
        return {name: getattr(self, name) for name in names if name[:2] != "__" or name in _OF_MODULES}

    def __dir__(self) -> list[str]:
        return [*_inside(self)[_PEER].ask("names", self)]

    def __getattribute__(self, name: str) -> Any:
        __tracebackhide__ = True
        return self.__getattr__(name) if name == "__doc__" else super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name.startswith("__") and name not in _OF_MODULES:
            raise AttributeError(name)
        return _inside(self)[_PEER].ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) or (name.startswith("__") and name.endswith("__")):
            super().__setattr__(name, value)
        else:
            _inside(self)[_PEER].ask("set", self, name, value)


def is_stand_in(value: Any) -> bool:
    """Whether a value is the code's."""
    return isinstance(type(value), Class)


class Beside:
    """What comparisons do with values of the code, which could answer as whoever compares them likes.

    One that derives from builtin data is compared as such data, which it names before it meets the other
    value. Any other that is compared with what is no value of the code needs one process.
    """

    @staticmethod
    def plain(one: Any, other: Any) -> tuple[Any, Any]:
        """Both as they are to be compared. Raises OneProcess."""
        if is_stand_in(one) is is_stand_in(other):
            return one, other
        return (_plain(one), other) if is_stand_in(one) else (one, _plain(other))

    @staticmethod
    def holds(item: Any, container: Any) -> None:
        """Raise OneProcess where `item in container` would let values of the code meet others.

        A container of the code answers for what is in it, as any method of the code does.
        """
        parts = (item, *container) if type(container) in _CONTAINERS else (item,)
        code = [part for part in parts if is_stand_in(part)]
        if not is_stand_in(container) and len(code) not in (0, len(parts)):
            raise _peer_of(type(code[0])).refuse("values of the code are looked for among others")

    @staticmethod
    def lies(suspect: Any, expected: Any) -> bool | None:
        """Whether it is not what it says; None when both are values of the code, or none is."""
        if is_stand_in(suspect) is is_stand_in(expected):
            return None
        one, other = Beside.plain(suspect, expected)
        return not is_stand_in(one) and not bool(one == other)

    @staticmethod
    def fields(left: Any, right: Any) -> list[tuple[Any, Any]] | None:
        """The pairs of fields by which two values of a dataclass are compared; None for others."""
        kind = type(left)
        if kind is not type(right) or not isinstance(kind, Class) or not _space(kind).get(_BY_FIELD):
            return None
        peer = _peer_of(kind)
        others = dict(peer.ask("fields", right))
        return [(value, others.get(name)) for name, value in peer.ask("fields", left)]


def _plain(value: Any) -> Any:
    kind = type(value)
    name = _space(kind).get(_DATA)
    if name is None:
        raise _peer_of(kind).refuse("a value of the code is compared with what is none")
    found = _peer_of(kind).ask("plain", value, name)
    if is_stand_in(found) or type(found).__name__ != name:
        raise _peer_of(kind).refuse(f"a {name} of the code is none")
    return found


def make_class(peer: Any, number: int, description: Any, bases: list[Any]) -> Any:
    """A class as it is described: names and module, special methods, whether it compares by field."""
    (name, whole, module), specials, by_field, data = description
    kept = [base for base in bases if isinstance(base, Class) or is_error(base)]
    space: dict[str, Any] = {"__module__": module, "__qualname__": whole, _PEER: peer, _NUMBER: number}
    if any(map(is_error, kept)):
        space |= {"__getattr__": _get, "__str__": lambda error: vars(error)[_TEXT]}
    else:
        space["__slots__"] = ()
        space |= {special: _special(peer, special) if there else None for special, there in specials}
        if space.get("__hash__"):
            space["__hash__"] = _hashed
    space |= {_BY_FIELD: bool(by_field), _DATA: data}
    derives = data or str(module).partition(".")[0] in _LIBRARY
    space[_DERIVES] = bool(derives) or any(_space(base).get(_DERIVES) for base in kept)
    return type.__new__(Class, name, tuple(kept or [_Value]), space)


def _special(peer: Any, name: str) -> Callable[..., Any]:
    def special(value: Any, *arguments: Any) -> Any:
        __tracebackhide__ = True
        return peer.ask("special", value, name, arguments)

    def call(value: Any, *arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        return peer.ask("call", value, arguments, options)

    return call if name == "__call__" else special


def _hashed(value: Any) -> int:
    """As it was when the value came here: a dict is filled without asking."""
    found = object.__getattribute__(value, _HASH)
    if not isinstance(found, int):
        raise TypeError(f"unhashable type: {type(value).__name__!r}")
    return found


def make_value(kind: Any, number: int, hashed: Any) -> Any:
    """An instance of such a class."""
    made = object.__new__(kind)
    object.__setattr__(made, _SLOT, number)
    object.__setattr__(made, _HASH, hashed)
    return made


def make_error(kind: Any, number: int, arguments: tuple[Any, ...], text: str, before: Any) -> BaseException:
    """An exception of a builtin class or the code's; before: its cause, context, whether that is hidden."""
    builtin: Any = next(base for base in _line(kind) if not isinstance(base, Class))
    error: BaseException = builtin.__new__(kind, *arguments)
    builtin.__init__(error, *arguments)
    error.__cause__, error.__context__, error.__suppress_context__ = before
    if isinstance(kind, Class):
        vars(error).update({_NUMBER: number, _TEXT: text})
    return error


def make_module(peer: Any, name: str, value: Any, file: Any, places: tuple[Any, ...]) -> types.ModuleType:
    """A module: its file, and the folders of a package."""
    module = Module(name)
    _inside(module).update({_PEER: peer, _NUMBER: number_of(value)})
    if file:
        _inside(module)["__file__"] = file
    if places:
        _inside(module)["__path__"] = list(places)
    return module


def is_module(value: Any) -> bool:
    """Whether it is a module of the code's."""
    return type(value) is Module


def number_of(value: Any) -> int | None:
    """The number by which the other process knows a value; None for what is the tests' own."""
    kind = type(value)
    if kind is Class:
        found: int = _space(value)[_NUMBER]
        return found
    if kind is Module:
        return int(_inside(value)[_NUMBER])
    if isinstance(kind, Class) and isinstance(value, BaseException):
        return int(vars(value)[_NUMBER])
    return object.__getattribute__(value, _SLOT) if isinstance(kind, Class) else None
