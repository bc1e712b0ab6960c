"""Carries values between the process of the tests and that of the code under test.

Numbers, texts and the like travel as they are. Lists, dicts, sets and bytearrays are shared: each has a
number, both sides hold one of their own, and whatever has changed since the last message travels with the
next, so that it makes no difference which side changed it. All else of the code under test is a handle.

Nothing is executed to read a message, which is JSON after four bytes with its length.
"""

from __future__ import annotations

import base64
import builtins
import datetime
import decimal
import fractions
import json
import math
import operator
import pathlib
import socket
import struct
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

_LENGTH = struct.Struct("!I")
_MAX_BYTES = 32 * 1024 * 1024
_MAX_SHARED = 20_000
_EXACT = 2**53
_KINDS: dict[str, type] = {"list": list, "dict": dict, "set": set, "bytearray": bytearray}
_NAMES = {id(kind): name for name, kind in _KINDS.items()}
_MODULES: dict[str, Any] = {"builtins": builtins, "math": math, "operator": operator}
# How values of the standard library are made again: the name of their type, and the arguments.
_MADE: dict[str, tuple[type, Callable[[Any], tuple[Any, ...]]]] = {
    "date": (datetime.date, lambda v: (v.year, v.month, v.day)),
    "datetime": (
        datetime.datetime,
        lambda v: (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo),
    ),
    "time": (datetime.time, lambda v: (v.hour, v.minute, v.second, v.microsecond, v.tzinfo)),
    "timedelta": (datetime.timedelta, lambda v: (v.days, v.seconds, v.microseconds)),
    "timezone": (datetime.timezone, lambda v: (v.utcoffset(None),)),
    "Decimal": (decimal.Decimal, lambda v: (str(v),)),
    "Fraction": (fractions.Fraction, lambda v: (v.numerator, v.denominator)),
    "UUID": (uuid.UUID, lambda v: (v.hex,)),
    "PurePosixPath": (pathlib.PurePosixPath, lambda v: (str(v),)),
    "PosixPath": (pathlib.PosixPath, lambda v: (str(v),)),
    "range": (range, lambda v: (v.start, v.stop, v.step)),
    "slice": (slice, lambda v: (v.start, v.stop, v.step)),
    "complex": (complex, lambda v: (v.real, v.imag)),
}
_MAKERS = {id(kind): (name, parts) for name, (kind, parts) in _MADE.items()}


class NotPlain(Exception):
    """A value that cannot travel."""


class Shared:
    """The containers that both sides hold, by number, and what the other side knows of them."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._known: dict[int, Any] = {}

    def number(self, value: Any) -> int:
        """The number of a container, which it gets now if it has none."""
        if id(value) not in self._numbers:
            if len(self._objects) >= _MAX_SHARED:
                raise NotPlain("too many lists and dicts")
            self.add(self._next, value)
            self._next += 2
        return self._numbers[id(value)]

    def add(self, number: int, value: Any) -> None:
        self._objects[number] = value
        self._numbers[id(value)] = number

    def get(self, number: int, kind: str) -> Any:
        """The container with this number, a new and empty one if there is none."""
        if number not in self._objects:
            self.add(number, _KINDS[kind]())
        return self._objects[number]

    def changed(self) -> Iterator[tuple[int, Any]]:
        """Yield those that the other side does not know as they are, and those that come meanwhile."""
        done = 0
        while done < len(self._objects):
            for number in list(self._objects)[done:]:
                done += 1
                if not self._is_known(number):
                    yield number, self._objects[number]
        # A container that was looked at early may hold one that was numbered late, but not change meanwhile.

    def _is_known(self, number: int) -> bool:
        return number in self._known and _same(self._known[number], self._objects[number])

    def unheld(self) -> list[int]:
        """The numbers of those that only this table holds, and that the other side knows as they are."""
        found = [number for number, value in self._objects.items() if sys.getrefcount(value) <= _UNHELD]
        return [number for number in found if self._is_known(number)]

    def forget(self, numbers: list[int]) -> None:
        """Forget these; what comes back later is another one, which nobody can tell."""
        for number in numbers:
            if number in self._objects:
                del self._numbers[id(self._objects.pop(number))]
                self._known.pop(number, None)

    def keep(self, number: int) -> None:
        """Note that the other side knows this one as it is."""
        value = self._objects[number]
        self._known[number] = list(value.items()) if type(value) is dict else value.copy()


def _same(known: Any, value: Any) -> bool:
    if len(known) != len(value):
        return False
    if type(value) is dict:
        return all(
            one is key and old is new for (one, old), (key, new) in zip(known, value.items(), strict=True)
        )
    if type(value) is list:
        return all(old is new for old, new in zip(known, value, strict=True))
    return bool(known == value)


def _unheld() -> int:
    table: dict[int, Any] = {1: []}
    return max(sys.getrefcount(value) for _, value in table.items())


_UNHELD = _unheld()
"""As many references as the table itself, and looking at it, make."""


class Wire:
    """Sends and receives messages. A side gives it what it does with everything that is not plain."""

    def __init__(
        self,
        connection: socket.socket,
        first: int,
        pack: Callable[[Any], list[Any]],
        unpack: Callable[[list[Any]], Any],
        *,
        of_tests: bool,
    ) -> None:
        """`pack` and `unpack`: a value that is not plain to a list and back; `pack` raises NotPlain.

        of_tests: whether this is the side of the tests. It takes types by name but no functions, and says
        which containers it no longer holds.
        """
        self._connection = connection
        self._shared = Shared(first)
        self._pack = pack
        self._unpack = unpack
        self._of_tests = of_tests

    def send(self, message: Any) -> None:
        """Send a value with all changes. Raises NotPlain, and then nothing was sent."""
        gone = self._shared.unheld() if self._of_tests else []
        body = self.packed(message)
        updates = []
        told = []
        for number, value in self._shared.changed():
            updates.append([number, _NAMES[id(type(value))], self._content(value)])
            told.append(number)
        data = json.dumps([updates, body, gone]).encode()
        if len(data) > _MAX_BYTES:
            raise NotPlain("too much at once")
        self._connection.sendall(_LENGTH.pack(len(data)) + data)
        self._shared.forget(gone)
        for number in told:
            self._shared.keep(number)

    def receive(self) -> Any:
        """The other side's next value. Raises EOFError, and ValueError for what is no message."""
        [length] = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _MAX_BYTES:
            raise ValueError("a message is too long")
        updates, body, gone = json.loads(self._read(length))
        self._shared.forget([] if self._of_tests else gone)
        for number, kind, _ in updates:
            self._shared.get(number, kind)
        for number, kind, content in updates:
            self._fill(self._shared.get(number, kind), content)
            self._shared.keep(number)
        return self.unpacked(body)

    def _read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._connection.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def _content(self, value: Any) -> Any:
        if type(value) is bytearray:
            return _base64(value)
        if type(value) is dict:
            return [[self.packed(key), self.packed(item)] for key, item in value.items()]
        return [self.packed(item) for item in value]

    def _fill(self, value: Any, content: Any) -> None:
        if type(value) is bytearray:
            value[:] = base64.b64decode(content)
        elif type(value) is dict:
            items = [(self.unpacked(key), self.unpacked(item)) for key, item in content]
            value.clear()
            value.update(items)
        elif type(value) is set:
            items = [self.unpacked(item) for item in content]
            value.clear()
            value.update(items)
        else:
            value[:] = [self.unpacked(item) for item in content]

    def packed(self, value: Any) -> Any:
        """A value as JSON can hold it."""
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if id(kind) in _NAMES:
            return ["shared", self._shared.number(value), _NAMES[id(kind)]]
        if kind is tuple or kind is frozenset:
            return [kind.__name__, [self.packed(item) for item in value]]
        if id(kind) in _MAKERS:
            name, parts = _MAKERS[id(kind)]
            return ["made", name, [self.packed(part) for part in parts(value)]]
        return _atom(value) or _named(value) or self._pack(value)

    def unpacked(self, value: Any) -> Any:
        """The value again. Raises ValueError for what no side sends."""
        if type(value) is not list:
            return value
        match value:
            case ["shared", number, kind]:
                found = self._shared.get(number, kind)
            case ["tuple" | "frozenset" as kind, items]:
                found = (tuple if kind == "tuple" else frozenset)(map(self.unpacked, items))
            case ["made", name, parts]:
                found = _MADE[name][0](*map(self.unpacked, parts))
            case ["named", module, name]:
                found = _SINGLE[name] if module == "single" else self._builtin(module, name)
            case ["int" | "number" | "float" | "bytes" as kind, content]:
                found = _ATOMS[kind](content)
            case _:
                found = self._unpack(value)
        return found

    def _builtin(self, module: str, name: str) -> Any:
        found = getattr(_MODULES[module], name)
        if self._of_tests and type(found) is not type:
            raise ValueError(f"{name} is no type")
        return found


_ATOMS: dict[str, Callable[[Any], Any]] = {
    "number": lambda content: content,
    "int": lambda content: int(content, 16),
    "float": float,
    "bytes": base64.b64decode,
}


def _atom(value: Any) -> list[Any] | None:
    kind = type(value)
    if kind is int:
        return ["number", value] if -_EXACT < value < _EXACT else ["int", hex(value)]
    if kind is float:
        return ["number", value] if math.isfinite(value) else ["float", repr(value)]
    return ["bytes", _base64(value)] if kind is bytes else None


_SINGLE: dict[str, Any] = {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}


def _named(value: Any) -> list[Any] | None:
    """Builtin types and functions, and single objects, by name."""
    for name, single in _SINGLE.items():
        if value is single:
            return ["named", "single", name]
    if type(value) is types.BuiltinFunctionType or type(value) is type:
        name = str(value.__name__)
        for module, space in _MODULES.items():
            if getattr(space, name, None) is value:
                return ["named", module, name]
    return None


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()
