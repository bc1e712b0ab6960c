"""Looks after the test program, the harness and what they are made of, while tests run."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import math
import operator
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_MAX_CHANGED = 100
_WATCHED = ("pytest", "_pytest", "pluggy", "unittest")
# Built-in names that tests have no reason to replace permanently.
_BUILTINS = frozenset(
    {"AssertionError", "Exception", "BaseException", "__import__", "__build_class__", "abs", "all", "any"}
    | {"bool", "dict", "float", "getattr", "hasattr", "int", "isinstance", "issubclass", "len", "list", "max"}
    | {"min", "repr", "round", "set", "sorted", "str", "sum", "tuple", "type", "zip"}
)


class Watch:
    """Looks after what was sealed, and keeps and tells what changed."""

    def __init__(
        self, seals: Any, sources: Iterable[bytes], own: Mapping[str, Any], known: Iterable[str]
    ) -> None:
        self._seals = seals
        self._known = frozenset(known)
        # Tests that patch may replace, for a while, what others have no reason to.
        self._patching = any(word in source for source in sources for word in (b"patch", b"builtins"))
        self._own = own
        self.changed: list[str] = []

    def begin(self) -> None:
        """Seal everything. Before the tree can be imported."""
        self._program, self._shared, self._quick = self._seals(), self._seals(), self._seals()
        for name in importlib.import_module("_pytest.config").default_plugins:
            with contextlib.suppress(ImportError):
                importlib.import_module(f"_pytest.{name}")
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in _WATCHED:
                self._seal(self._program, name, vars(module))
        for name, space in self._own.items():
            self._seal(self._program, name, space)
        self._shared.add_module("", vars(builtins), only=_BUILTINS)
        for module in (math, operator):
            self._quick.add_module(module.__name__, vars(module))

    def seal_plugins(self, packages: Iterable[str]) -> None:
        """Seal the environment's plugins, until the last of them is configured."""
        plugins, self._plugins = frozenset(packages), self._seals()
        self._spaces: list[Mapping[str, Any]] = []
        self._codes: list[types.CodeType] = []
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in plugins:
                self._seal(self._plugins, name, vars(module))
                self._spaces.append(vars(module))
                self._codes += _codes_in(vars(module))

    def configure(self, plugin: Callable[..., object], *args: object) -> None:
        """Let a plugin of the environment configure itself.

        What it then replaces in unittest.mock by functions that it had before the tree was there is looked
        after from now on, and nothing else is excused.
        """
        self._note(self._plugins.broken())
        self.look()
        plugin(*args)
        if not self.changed:
            self._program.adopt("unittest.mock.", self._is_of_plugin)
        self.look()

    def _is_of_plugin(self, found: Any) -> bool:
        return (
            type(found) is types.FunctionType
            and any(found.__globals__ is space for space in self._spaces)
            and any(found.__code__ is code for code in self._codes)
        )

    def _seal(self, seal: Any, label: str, space: Mapping[str, Any]) -> None:
        seal.add_module(label, space)
        for name, value in list(space.items()):
            if isinstance(value, type) and value.__module__ == space.get("__name__"):
                seal.add_class(f"{label}.{name}", value)

    def glance(self) -> None:
        """Look at what an assertion is likely to call."""
        if not self._patching:
            self._note(self._quick.broken())

    def look(self) -> bool:
        """Look after a test: whether nothing has changed since the beginning."""
        self._note(self._program.broken())
        if not self._patching:
            self._note(self._shared.broken())
            self._note(self._quick.broken())
        return not self.changed

    def end(self) -> None:
        """Look after everything."""
        self._patching = False
        self.look()

    def _note(self, found: Iterator[str]) -> None:
        if not self.changed:
            unknown = (label for label in found if label not in self._known)
            self.changed += [label for label, _ in zip(unknown, range(_MAX_CHANGED), strict=False)]


def _codes_in(space: Mapping[str, Any]) -> Iterator[types.CodeType]:
    """Yield the code of a module's functions, and of those that they make."""
    left: list[Any] = [value.__code__ for value in space.values() if type(value) is types.FunctionType]
    while left:
        code = left.pop()
        yield code
        left += [constant for constant in code.co_consts if type(constant) is types.CodeType]
