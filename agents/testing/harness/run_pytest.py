"""Runs pytest on the current folder and reports every step. `supervise` starts it in the sandbox.

It reads its order as JSON from stdin: `{"token", "pipe", "args": [pytest arguments], "tests": [paths of files
that serve tests], "import_from": [folders of the tree], "measure": [paths of the code under test],
"canaries": {"file": path, "tests": [ids]}, "twins": {path: {"test" or "Class::test": name}}}`. The canaries
are tests that must fail. A twin is a copy of one of the project's tests that must fail too. The events do not
say which tests are canaries or twins; the reader of the events knows.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import random
import re
import sys
import types
from pathlib import Path
from typing import Any

_MESSAGE_CHARACTERS = 1_000
_TRACEBACK_CHARACTERS = 20_000
_ROOT = os.getcwd()
_OWN = os.path.dirname(os.path.abspath(__file__))
# A step of a traceback as pytest writes it, `tests/test_a.py:3: in test_one`, or as Python does; the
# place of a syntax error is marked with E.
_STEP = re.compile(r'^(?:E?  +File ")?([^\s":][^":\n]*)(?:", line |:)(\d+)', re.MULTILINE)
# Tests that take longer than this are not run a second time.
_SLOW_SECONDS = 1.0
_WATCHED = ("pytest", "_pytest", "pluggy", "json", "__main__", "strict", "meter")
# Built-in names that tests have no reason to replace permanently.
_BUILTINS = frozenset(
    {"AssertionError", "Exception", "BaseException", "__import__", "__build_class__", "abs", "all", "any"}
    | {"bool", "dict", "float", "getattr", "hasattr", "int", "isinstance", "issubclass", "len", "list", "max"}
    | {"min", "repr", "round", "set", "sorted", "str", "sum", "tuple", "type", "zip"}
)


def main() -> None:
    """Run the session and exit with pytest's exit code."""
    order = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    pipe = _Pipe(order["pipe"], order["token"])
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Isolated mode ignores PYTHONPATH, but some sandboxes provide pytest there. The tree cannot set it.
    sys.path += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    import pytest  # noqa: PLC0415  # the tree is not importable yet

    replaced: list[str] = []
    _make_strict(order["twins"], {path: Path(path).read_bytes() for path in order["tests"]}, replaced)
    before = _snapshot()
    meter: Any = sys.modules["meter"].Meter(order["measure"])
    folders = [os.path.join(os.getcwd(), name) for name in ("", "src", *order["import_from"])]
    # The root first, so that no folder of the code under test hides what serves the tests.
    sys.path[:0] = [os.path.normpath(path) for path in dict.fromkeys(folders) if os.path.isdir(path)]
    canaries = order["canaries"]
    folder = os.path.dirname(canaries["file"])
    arguments = ["--continue-on-collection-errors", "-p", "no:cacheprovider", "-p", "no:terminal"]
    arguments += [
        "-c",
        f"{folder}/pytest.ini",
        "--rootdir=.",
        "--confcutdir=.",
        *order["args"],
        canaries["file"],
    ]
    recorder = _recorder(pytest, pipe, _AddedTests(canaries["tests"], order["twins"]))
    meter.start()
    exit_code = int(pytest.main(arguments, plugins=[recorder, _watch_of_skips(pytest)]))
    percent = meter.percent()
    after = _snapshot()
    changed = replaced + sorted(name for name, value in before.items() if after.get(name) is not value)
    pipe.send("end", exit_code=exit_code, coverage=percent, changed=changed[:5])
    sys.stdout.flush()
    sys.stderr.flush()
    # Skip exit handlers of the tree's code: they could change the exit code.
    os._exit(exit_code)


class _Pipe:
    """Sends events to the supervisor."""

    def __init__(self, descriptor: int, token: str) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._token = token

    def send(self, kind: str, **values: Any) -> None:
        data = json.dumps({"token": self._token, "kind": kind, **values}).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]


def _make_strict(twins: dict[str, dict[str, str]], sources: dict[str, bytes], replaced: list[str]) -> None:
    """Make pytest compile test modules with strict comparisons, and never load them from the tree's cache.

    A file whose source is not as in `sources` when it is compiled is added to `replaced`: code that was
    imported before may have rewritten it, and may put it back.
    """
    strict: Any = sys.modules["strict"]
    rewrite: Any = importlib.import_module("_pytest.assertion.rewrite")
    usual = rewrite.rewrite_asserts

    def rewrite_asserts(tree: Any, source: bytes, module_path: Any = None, config: Any = None) -> None:
        path = os.path.relpath(module_path) if module_path else ""
        if sources.get(path, source) != source:
            replaced.append(path)
        strict.add_twins(tree, twins.get(path, {}))
        usual(tree, source, module_path, config)
        strict.tighten(tree)

    rewrite.rewrite_asserts = rewrite_asserts
    rewrite._read_pyc = lambda *_, **__: None
    setattr(builtins, strict.COMPARE, strict.compare)
    setattr(builtins, strict.PAIR, strict.pair)


def _snapshot() -> dict[str, Any]:
    """Collect functions of pytest, of this harness and of builtins, to detect later that one was replaced."""
    found: dict[str, Any] = {name: getattr(builtins, name, None) for name in _BUILTINS}
    found |= {name: value for name, value in vars(builtins).items() if name.startswith("@strict")}
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] in _WATCHED:
            for name, value in list(vars(module).items()):
                _note(found, f"{module_name}.{name}", value)
    return found


def _note(found: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(value, types.FunctionType):
        found[name] = value.__code__
    elif isinstance(value, type):
        found[name] = value
        for part, member in list(vars(value).items()):
            member = getattr(member, "__func__", member)  # noqa: PLW2901  # of static and class methods
            if isinstance(member, types.FunctionType):
                found[f"{name}.{part}"] = member.__code__


class _AddedTests:
    """The tests that the harness adds, and their positions in the session."""

    def __init__(self, canaries: list[str], twins: dict[str, dict[str, str]]) -> None:
        self._canaries = set(canaries)
        self._originals = {
            f"{path}::{twin}": f"{path}::{test}"
            for path, names in twins.items()
            for test, twin in names.items()
        }
        self.slow: set[str] = set()

    def original(self, item: Any) -> str | None:
        """Return the id, without parameters, of the test that the item is a twin of; None for no twin."""
        return self._originals.get(_base(item.nodeid))

    def remove_from(self, items: list[Any]) -> list[Any]:
        """Remove the added tests from `items` and return them."""
        extras = [item for item in items if item.nodeid in self._canaries or self.original(item)]
        chosen = set(map(id, extras))
        items[:] = [item for item in items if id(item) not in chosen]
        return extras

    def insert_into(self, extras: list[Any], items: list[Any]) -> None:
        """Insert one canary first and the rest last, because running a test twice may leave side effects."""
        there = {_base(item.nodeid) for item in items}
        canaries = [item for item in extras if not self.original(item)]
        twins = {self.original(item): item for item in reversed(extras) if self.original(item) in there}
        random.SystemRandom().shuffle(canaries)
        last = [*canaries[1:], *twins.values()]
        random.SystemRandom().shuffle(last)
        items[:0] = canaries[:1]
        items.extend(last)


def _base(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _recorder(pytest: Any, pipe: _Pipe, added: _AddedTests) -> Any:
    class Recorder:
        def pytest_addoption(self, parser: Any) -> None:
            # The disabled terminal plugin defines this option; pytest 7 reads it when an assertion fails.
            parser.addoption("--verbosity", dest="verbose", type=int, default=0)

        # The old style of wrapper, because Debian 12's pytest (7.2) supports no other.
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[untyped-decorator]  # pytest is Any
        def pytest_collection_modifyitems(self, items: list[Any]) -> Any:
            removed = added.remove_from(items)
            yield
            added.insert_into(removed, items)

        def pytest_collection_finish(self, session: Any) -> None:
            pipe.send("collected", ids=[item.nodeid for item in session.items])

        def pytest_collectreport(self, report: Any) -> None:
            if report.outcome != "passed":
                pipe.send(
                    "not_collected",
                    id=report.nodeid,
                    outcome=report.outcome,
                    message=_message(report.longrepr),
                    **_place(report.longrepr),
                )

        @pytest.hookimpl(tryfirst=True)  # type: ignore[untyped-decorator]  # pytest is Any
        def pytest_runtest_protocol(self, item: Any) -> Any:
            return True if added.original(item) in added.slow else None

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when == "call" and report.duration > _SLOW_SECONDS:
                added.slow.add(_base(report.nodeid))
            if report.when != "call" and report.outcome == "passed":
                return
            pipe.send(
                "test",
                id=report.nodeid,
                when=report.when,
                outcome=report.outcome,
                message=_message(report.longrepr) if report.outcome != "passed" else "",
                slow=report.duration > _SLOW_SECONDS,
                by=getattr(report, "skipped_by", ""),
                **(_place(report.longrepr) if report.outcome == "failed" else {}),
            )

    return Recorder()


def _watch_of_skips(pytest: Any) -> Any:
    class Watch:
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)  # type: ignore[untyped-decorator]  # pytest is Any
        def pytest_runtest_makereport(self, call: Any) -> Any:
            excinfo = call.excinfo  # other hooks replace it
            report = (yield).get_result()
            if report.outcome == "skipped" and excinfo is not None:
                report.skipped_by = _raised_by(excinfo)

    return Watch()


def _raised_by(excinfo: Any) -> str:
    """Return the file of the tree whose code raised the exception; "" when there is none."""
    frames = [str(entry.frame.code.raw.co_filename) for entry in excinfo.traceback]
    folder = f"{os.getcwd()}{os.sep}"
    inside = [name for name in frames if name.startswith(folder) and not name.startswith(_OWN)]
    return os.path.relpath(inside[-1]) if inside else ""


def _message(longrepr: Any) -> str:
    """Return the first line of the crash message."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message).strip().split("\n")[0][:_MESSAGE_CHARACTERS]
    if isinstance(longrepr, tuple):
        return str(longrepr[-1])[:_MESSAGE_CHARACTERS]
    lines = str(longrepr).strip().split("\n")
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines)[-1][:_MESSAGE_CHARACTERS]


def _place(longrepr: Any) -> dict[str, Any]:
    """Return file and line of the last step of a traceback that is in the tree."""
    for name, line in reversed(_STEP.findall(str(longrepr)[-_TRACEBACK_CHARACTERS:])):
        file = os.path.normpath(os.path.join(_ROOT, name))
        if file.startswith(f"{_ROOT}{os.sep}") and not file.startswith(_OWN) and os.path.isfile(file):
            return {"path": os.path.relpath(file, _ROOT), "line": int(line)}
    return {}


if __name__ == "__main__":
    # Isolated mode also leaves the script's folder out of sys.path.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    importlib.import_module("strict")
    importlib.import_module("meter")
    del sys.path[0]
    main()
