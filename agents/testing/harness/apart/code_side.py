"""Runs the code under test for tests in another process: imports, looks up and calls what they ask for.

Everything here can be changed by the code under test; the side of the tests trusts none of it.
`tests_side.py` starts it with the descriptor of a socket and with JSON: `folders` of the tree, and the paths
to `measure`.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import os
import socket
import sys
import types
import warnings
from pathlib import Path
from typing import Any

_UNARY = ("call", "len", "iter", "next", "reversed", "enter", "exit", "hash", "bool", "str", "repr", "format")
_NUMBERS = (
    "bytes",
    "int",
    "float",
    "index",
    "complex",
    "abs",
    "neg",
    "pos",
    "invert",
    "round",
    "trunc",
    "floor",
)
_ITEMS = (
    "contains",
    "getitem",
    "setitem",
    "delitem",
    "length_hint",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "ceil",
)
_BINARY = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift")
_BITS = ("and", "or", "xor")
_SHOWN = 1_000
_DATA = (int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
_SPECIALS = frozenset(
    f"__{name}__"
    for name in (
        *(*_UNARY, *_NUMBERS, *_ITEMS, "fspath"),
        *(f"{prefix}{name}" for prefix in ("", "r", "i") for name in (*_BINARY, *_BITS)),
    )
)


class _Server:
    """Answers requests until the other side is gone."""

    def __init__(self, wire: Any, connection: socket.socket, meter: Any) -> None:
        self._wire = wire.Wire(connection, 2, self._pack, self._unpack, of_tests=False)
        self._meter = meter
        self._values: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._described: set[int] = set()
        self._output = [_captured(name) for name in ("stdout", "stderr")]
        self._told: list[Any] = []

    def serve(self) -> None:
        warnings.showwarning = self._note_warning
        while True:
            try:
                request = self._wire.receive()
            except EOFError:
                return
            self._answer(request)

    def _answer(self, request: Any) -> None:
        action, surroundings, arguments = request
        self._enter(surroundings)
        before = _surroundings()
        outcome: tuple[bool | None, Any]
        try:
            outcome = (True, getattr(self, f"do_{action}")(*arguments))
        except BaseException as error:
            outcome = (False, error)
        if _surroundings() != before:
            outcome = (None, "the code changes its folder, environment, import path or output")
        shown = tuple(_taken(stream) for stream in self._output)
        told, self._told = tuple(self._told), []
        try:
            self._wire.send((*outcome, shown, told))
        except Exception as error:
            self._wire.send((None, str(error)[:_SHOWN], shown, told))

    def _enter(self, surroundings: Any) -> None:
        if surroundings is None:
            return
        folder, environment, paths = surroundings
        os.chdir(folder)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        sys.path[:0] = [path for path in paths if path not in sys.path]

    def do_load(self, name: str) -> Any:
        module = importlib.import_module(name)
        return module, getattr(module, "__file__", None), tuple(getattr(module, "__path__", ()))

    def do_names(self, owner: Any) -> Any:
        return tuple(vars(owner))

    def do_get(self, owner: Any, name: str) -> Any:
        return getattr(owner, name)

    def do_set(self, owner: Any, name: str, value: Any) -> None:
        setattr(owner, name, value)

    def do_delete(self, owner: Any, name: str) -> None:
        delattr(owner, name)

    def do_call(self, function: Any, arguments: Any, options: Any) -> Any:
        return function(*arguments, **dict(options))

    def do_special(self, owner: Any, name: str, arguments: Any) -> Any:
        method = getattr(type(owner), name)
        return method(owner, *arguments)

    def do_instance(self, value: Any, kind: Any) -> bool:
        return isinstance(value, kind)

    def do_fields(self, value: Any) -> Any:
        return tuple(
            (name, getattr(value, name, None))
            for name, field in type(value).__dataclass_fields__.items()
            if field.compare
        )

    def do_plain(self, value: Any, name: str) -> Any:
        """The value as one of a builtin type that it derives from, whatever it says itself."""
        base = getattr(builtins, name)
        if base in (list, tuple, set, frozenset):
            return base(base.__iter__(value))
        if base is dict:
            return {key: dict.__getitem__(value, key) for key in dict.__iter__(value)}
        if base is complex:
            return complex(complex.__add__(value, 0j))
        return base.__add__(value, base()) if base in (int, float, str, bytes) else base(value)

    def do_percent(self) -> Any:
        return self._meter.percent()

    def _pack(self, value: Any) -> list[Any]:
        number = self._number(value)
        if isinstance(value, type):
            return ["class", number, self._description(number, value)]
        kind = type(value)
        if not isinstance(value, BaseException):
            return ["value", number, self._pack(kind), _hash(value)]
        before = (value.__cause__, value.__context__, value.__suppress_context__)
        error = [self._wire.packed(value.args), str(value), self._wire.packed(before)]
        return ["value", number, self._wire.packed(kind), None, error]

    def _number(self, value: Any) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._values)
            self._values[number] = value
        return number

    def _description(self, number: int, kind: type) -> Any:
        """What the other side must know of a class, once."""
        if number in self._described:
            return None
        self._described.add(number)
        specials = {
            name: getattr(kind, name) is not None
            for part in kind.__mro__[:-1]
            for name in vars(part)
            if name in _SPECIALS
        }
        bases = [self._wire.packed(base) for base in kind.__bases__]
        fields = "__dataclass_fields__" in vars(kind) and vars(kind)["__dataclass_params__"].eq
        data = next((base.__name__ for base in _DATA if issubclass(kind, base)), None)
        named = [kind.__name__, kind.__qualname__, kind.__module__]
        return [named, bases, sorted(specials.items()), bool(fields), data]

    def _unpack(self, value: list[Any]) -> Any:
        match value:
            case ["ours", number]:
                return self._values[number]
            case ["stranger"]:
                return object()
        raise ValueError(f"no value: {value!r}")

    def _note_warning(self, message: Any, category: Any, *_: Any, **__: Any) -> None:
        self._told.append((category, str(message)))


def _surroundings() -> Any:
    """What belongs to the process and not to a value; tests may look at it."""
    return os.getcwd(), dict(os.environ), tuple(sys.path), sys.stdout, sys.stderr, sys.stdin


def _hash(value: Any) -> int | None:
    try:
        return hash(value)
    except Exception:
        return None


def _captured(name: str) -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape", write_through=True)
    setattr(sys, name, stream)
    return stream


def _taken(stream: io.TextIOWrapper) -> str:
    raw: Any = stream.buffer
    text = raw.getvalue().decode("utf-8", "replace")
    if text:
        raw.seek(0)
        raw.truncate()
    return str(text)


def _load(name: str, path: Path) -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102  # its own
    return module


def main() -> None:
    """Serve on the socket whose descriptor is the first argument, as the second one says."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    order = json.loads(sys.argv[2])
    here = Path(__file__).parent
    wire = _load("wire", here / "wire.py")
    # As in the process of the tests: isolated mode ignores it.
    sys.path += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    meter = _load("meter", here.parent / "meter.py").Meter(order["measure"])
    sys.path[:0] = order["folders"]
    sys.argv[1:] = []
    sys.modules["__main__"] = types.ModuleType("__main__")
    meter.start()
    _Server(wire, connection, meter).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
