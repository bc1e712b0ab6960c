"""Runs pytest on the current folder and reports every step. `run_pytest.py` loads it.

The order is `{"token", "pipe", "args": [pytest arguments], "tests": [paths of files that serve tests],
"plugins": whether those of the environment are loaded, "import_from": [folders of the tree], "measure":
[paths of the code under test], "apart": [files with tests that run apart from the code, or none], "together":
[ids of tests and classes in these that are left out], "canaries": {"file": path, "tests": [ids]}, "twins":
{path: {"test" or "Class::test": name}}}`. The canaries are tests that must fail. A twin is a copy of one of
the project's tests that must fail too. The reader of the events knows which tests are canaries or twins.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import random
import re
import sys
import unittest
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from json.encoder import encode_basestring_ascii
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


def main(order: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Run the session and exit with pytest's exit code. `own`: the other modules of the harness."""
    pipe = _Pipe(order["pipe"], order["token"])
    code: Any = order["apart"] and own["tests_side"].Apart(order, own, pipe)
    # Isolated mode ignores PYTHONPATH, but some sandboxes provide pytest there. The tree cannot set it.
    sys.path += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    import pytest  # noqa: PLC0415  # the tree is not importable yet

    tests = Path(order["canaries"]["file"]).parent
    rewriter, watch = _rewriter(order, own, pipe)
    rewriter.install(importlib.import_module("_pytest.assertion.rewrite"))
    pytest.register_assert_rewrite(*_modules(order["tests"]))
    # Before the tree can be imported: it must not name plugins.
    plugins = list(_environment_plugins()) if order["plugins"] else []
    code = code or _Together(order, own)
    arguments = ["--continue-on-collection-errors", "-p", "no:cacheprovider", "-p", "no:terminal"]
    arguments += ["-c", f"{tests}/pytest.ini", "--rootdir=.", "--confcutdir=."]
    arguments += [*order["args"], order["canaries"]["file"]]
    added = _AddedTests(order["canaries"]["tests"], order["twins"])
    recorder = _recorder(pytest, pipe, added, own["traces"].Traces())
    code.start()
    quiet = own["quiet"].Quiet()
    # The last one is asked first.
    plugins += [recorder, _watch_of_skips(pytest), code, _Sealing(watch, list(plugins), quiet.hide)]
    exit_code = int(pytest.main(arguments, plugins=plugins))
    percent = code.percent()
    changed = [*rewriter.replaced, *watch.changed]
    pipe.send("end", exit_code=exit_code, coverage=percent, changed=changed)
    sys.stdout.flush()
    sys.stderr.flush()
    # Skip exit handlers of the tree's code: they could change the exit code.
    os._exit(exit_code)


def _rewriter(order: dict[str, Any], own: Mapping[str, Any], pipe: _Pipe) -> tuple[Any, Any]:
    sources = {path: Path(path).read_bytes() for path in order["tests"]}
    sealed: Mapping[str, Any] = {} if order["apart"] else own  # what nothing could reach
    spaces = {**{name: vars(module) for name, module in sealed.items()}, "session": globals()}
    watch = own["watching"].Watch(own["integrity"].Seal, sources.values(), spaces, order["known"])
    tools = own["strict"]
    tools.asserted = own["assertions"].Assertions(tools, unittest.TestCase).call
    tools.glance = watch.glance

    def guard(test: str) -> Any:
        return own["integrity"].Guard(test, watch.look, lambda name: pipe.send("ran", id=name))

    return own["rewriting"].Rewriter(tools, guard, sources, order["twins"]), watch


class _Together:
    """The code under test in this process: it is imported from the tree as any other module."""

    def __init__(self, order: dict[str, Any], own: Mapping[str, Any]) -> None:
        self._meter: Any = own["meter"].Meter(order["measure"])
        folders = [os.path.join(os.getcwd(), name) for name in ("", "src", *order["import_from"])]
        # The root first, so that no folder of the code under test hides what serves the tests.
        sys.path[:0] = [os.path.normpath(path) for path in dict.fromkeys(folders) if os.path.isdir(path)]

    def start(self) -> None:
        self._meter.start()

    def percent(self) -> float | None:
        """The line coverage of the code, None when it is not known."""
        found: float | None = self._meter.percent()
        return found


def _modules(paths: list[str]) -> list[str]:
    """The names by which modules that serve tests may be imported."""
    names = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in paths}
    return sorted(names | {name.rpartition(".")[2] for name in names})


def _environment_plugins() -> Iterator[Any]:
    """Yield the plugins of pytest that are installed beside it."""
    for entry in metadata.entry_points(group="pytest11"):
        # What needs one that cannot be loaded says so itself.
        with contextlib.suppress(Exception):
            yield entry.load()


class _Pipe:
    """Sends events to the supervisor, with nothing that code under test could replace on the way."""

    def __init__(self, descriptor: int, token: str) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        self._token = token
        self._write = os.write
        self._quoted = encode_basestring_ascii

    def send(self, kind: str, **values: Any) -> None:
        fields = {"token": self._token, "kind": kind, **values}
        parts = [f"{self._quoted(name)}: {self._json(value)}" for name, value in fields.items()]
        data = f"{{{', '.join(parts)}}}\n".encode()
        while data:
            data = data[self._write(self._descriptor, data) :]

    def _json(self, value: Any) -> str:
        if isinstance(value, str):
            return str(self._quoted(value))
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        return f"[{', '.join(map(self._json, value))}]" if isinstance(value, list) else str(value)


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


def _recorder(pytest: Any, pipe: _Pipe, added: _AddedTests, traces: Any) -> Any:
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
                    trace=traces.of(report),
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
                trace=traces.of(report),
                **(_place(report.longrepr) if report.outcome == "failed" else {}),
            )

    return Recorder()


class _Sealing:
    """Seals pytest once it has set itself up, before anything of the tree is loaded, until it undoes that.

    The environment's plugins configure themselves later, and some replace functions of unittest then.
    """

    def __init__(self, watch: Any, plugins: list[Any], before: Callable[[Any], None]) -> None:
        self._watch = watch
        self._plugins = plugins
        self._before = before

    def pytest_load_initial_conftests(self, early_config: Any) -> None:
        self._before(early_config)
        self._watch.begin()
        own = [impl for impl in early_config.hook.pytest_configure.get_hookimpls() if self._is_plugin(impl)]
        modules = [getattr(impl.function, "__module__", None) or "" for impl in own]
        self._watch.seal_plugins(name.partition(".")[0] for name in modules)
        for impl in own:
            impl.function = functools.partial(self._watch.configure, impl.function)

    def _is_plugin(self, impl: Any) -> bool:
        wraps = impl.hookwrapper or getattr(impl, "wrapper", False)
        return any(impl.plugin is plugin for plugin in self._plugins) and not wraps

    def pytest_sessionfinish(self) -> None:
        self._watch.end()


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
