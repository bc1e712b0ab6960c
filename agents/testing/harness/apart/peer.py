"""Asks the process of the code under test, and gives out what it answers as if it were there."""

from __future__ import annotations

import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any


class OneProcess(BaseException):
    """This test cannot run apart from the code it tests."""


class Peer:
    """The process of the code under test."""

    def __init__(
        self,
        wire: Any,
        stand_ins: Any,
        connection: Any,
        roots: Sequence[str],
        unfit: Callable[[str], None],
    ) -> None:
        """`wire`, `stand_ins`: modules. `unfit` is told why the test that runs now needs one process."""
        self._wire = wire.Wire(connection, 1, self._pack, self._unpack, of_tests=True)
        self._not_plain = wire.NotPlain
        self._roots = tuple(roots)
        self._unfit = unfit
        self._lock = threading.RLock()
        self._stand_ins = stand_ins
        self._values: dict[int | None, Any] = {}
        self._told: Any = None
        self._lost = ""

    @property
    def is_testing(self) -> bool:
        """Whether a test runs; pytest looks at whatever is in a module of tests before."""
        return "PYTEST_CURRENT_TEST" in os.environ

    def refuse(self, reason: str) -> OneProcess:
        """Note that the test that runs now needs one process; to be raised."""
        self._unfit(reason)
        return OneProcess(reason)

    def ask(self, action: str, *arguments: Any) -> Any:
        """What the other side answers. Raises what it raises, and OneProcess."""
        __tracebackhide__ = True
        with self._lock:
            now = self._surroundings()
            telling = None if now == self._told else (now[0], {**now[1]}, now[2])
            went, value, shown, told = self._exchange((action, telling, arguments))
            self._told = now
        for stream, text in zip((sys.stdout, sys.stderr), shown, strict=True):
            if text:
                stream.write(text)
        for category, message in told:
            warnings.warn(message, category if isinstance(category, type) else UserWarning, stacklevel=3)
        if went is None:
            raise self.refuse(str(value))
        if went:
            return value
        if not isinstance(value, BaseException):
            raise self.refuse("the code under test raised what is no exception")
        raise value

    def _exchange(self, request: Any) -> Any:
        """Send a request and read its answer. What is not read to its end leaves nothing to go on with."""
        if self._lost:
            raise self.refuse(self._lost)
        try:
            self._wire.send(request)
        except self._not_plain as error:
            raise self.refuse(str(error)) from None
        except RecursionError:
            raise self.refuse("a value of the tests is nested too deep") from None
        except OSError as error:
            self._lost = f"the code under test is gone: {error}"
            raise self.refuse(self._lost) from None
        # Nothing is asked while an answer is read: what it changes is then half changed.
        self._lost = "an answer was asked for something"
        try:
            answer = self._wire.receive()
        except Exception as error:
            self._lost = f"no answer: {error!r}"
            raise self.refuse(self._lost) from None
        self._lost = ""
        return answer

    def _surroundings(self) -> tuple[str, dict[str, str], tuple[str, ...]]:
        """Folder, environment and import path of this process, which the other one follows."""
        return os.getcwd(), {**os.environ}, tuple(path for path in sys.path if path.startswith(self._roots))

    def load(self, name: str) -> types.ModuleType:
        """The module with this name of the other side."""
        value, file, places = self.ask("load", name)
        module: types.ModuleType = self._stand_ins.make_module(self, name, value, file, places)
        self._values[self._stand_ins.number_of(value)] = module
        return module

    def _pack(self, value: Any) -> list[Any]:
        if type(value) is object:
            return ["stranger"]
        number = self._stand_ins.number_of(value)
        if number is None:
            raise self._not_plain(f"a {type(value).__name__} of the tests is passed to the code")
        return ["ours", number]

    def _unpack(self, value: list[Any]) -> Any:
        kind, number, *rest = value
        if number not in self._values:
            self._values[number] = (
                self._class(number, *rest) if kind == "class" else self._value(number, *rest)
            )
        return self._values[number]

    def _class(self, number: int, description: Any) -> Any:
        names, bases, *about = description
        found = [self._wire.unpacked(base) for base in bases]
        return self._stand_ins.make_class(self, number, (names, *about), found)

    def _value(self, number: int, kind: Any, hashed: Any, error: Any = None) -> Any:
        found = self._wire.unpacked(kind)
        if error is None:
            return self._stand_ins.make_value(found, number, hashed)
        arguments, text, before = error
        parts = (self._wire.unpacked(arguments), text, self._wire.unpacked(before))
        return self._stand_ins.make_error(found, number, *parts)
