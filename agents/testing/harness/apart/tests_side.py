"""Tests whose code has a process of its own: modules of the tree that serve no tests are found there."""

from __future__ import annotations

import ctypes
import importlib.abc
import importlib.machinery
import json
import os
import socket
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

_PR_SET_DUMPABLE = 4
_ALL = 100


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules below the root: those that serve tests are the tests', others the other side's.

    What has come into the tree since the plan was made is not there. A module is looked for in one place
    after the other, because a file that code has written must hide nothing.
    """

    def __init__(self, peer: Any, is_stand_in: Callable[[Any], bool], files: tuple[Any, Any]) -> None:
        """`files`: paths of the files that serve tests, and of those of the code, from the root."""
        self._peer = peer
        self._is_stand_in = is_stand_in
        self._root = os.path.realpath(os.getcwd())
        self._tests, self._code = map(frozenset, files)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        parent = sys.modules.get(fullname.rpartition(".")[0])
        places = sys.path if path is None else path
        if not self._is_stand_in(parent) and all(self._inside(place) is None for place in places):
            return None
        planted = False
        for place in places:
            found = importlib.machinery.PathFinder.find_spec(fullname, [place])
            if found is None:
                continue
            kind = self._kind(found)
            if kind == "tests":
                return self._rewritten(fullname, place) or found
            if kind == "code":
                return importlib.machinery.ModuleSpec(fullname, self, origin=found.origin)
            if kind == "outside" and not self._is_stand_in(parent):
                return found
            planted = True
        if self._is_stand_in(parent):
            return importlib.machinery.ModuleSpec(fullname, self)
        if planted and fullname not in sys.builtin_module_names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None

    def _kind(self, spec: Any) -> str:
        """Whose it is: of the "tests", of the "code", from "outside", or "planted"."""
        if not spec.has_location:
            return self._kind_of_folders(spec.submodule_search_locations or ())
        inside = self._inside(spec.origin)
        if inside is None:
            return "outside"
        return "tests" if inside in self._tests else "code" if inside in self._code else "planted"

    def _kind_of_folders(self, places: Any) -> str:
        folders = [self._inside(place) for place in places]
        if None in folders:
            return "outside"
        for kind, files in (("tests", self._tests), ("code", self._code)):
            if any(file.startswith(f"{folder}/") for folder in folders for file in files):
                return kind
        return "planted"

    def _inside(self, path: str) -> str | None:
        whole = os.path.realpath(path)
        if whole == self._root:
            return "."
        return os.path.relpath(whole, self._root) if whole.startswith(f"{self._root}{os.sep}") else None

    def _rewritten(self, fullname: str, place: str) -> Any:
        """As pytest finds it in this place alone; else without what was compiled of it before."""
        for finder in sys.meta_path:
            if type(finder).__name__ == "AssertionRewritingHook":
                return finder.find_spec(fullname, [place])
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        module: types.ModuleType = self._peer.load(spec.name)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing is left to do: the other side has loaded it."""


class Apart:
    """The code under test in a process of its own; a plugin of pytest's."""

    def __init__(self, order: Mapping[str, Any], own: Mapping[str, Any], pipe: Any) -> None:
        """Start the other process, beside what this one imports; it loads nothing of the tree unasked.

        `own`: modules of the harness. Why a test needs one process goes to `pipe`.
        """
        # The code's process, of the same user, can then neither read nor change this one.
        if ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
            raise OSError("this process cannot be closed to others")
        self._order = order
        self._root = os.getcwd()
        names = (
            os.path.normpath(os.path.join(self._root, name)) for name in ("", "src", *order["import_from"])
        )
        self._folders = [path for path in dict.fromkeys(names) if os.path.isdir(path)]
        self._ours, self._theirs = socket.socketpair()

        def unfit(reason: str) -> None:
            test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
            pipe.send("unfit", id=test, message=reason)

        self._peer = own["peer"].Peer(own["wire"], own["stand_ins"], self._ours, self._folders, unfit)
        self._none = (own["peer"].OneProcess, Exception)
        own["strict"].beside = own["stand_ins"].Beside
        canaries = order["canaries"]["file"]
        tests = (*order["tests"], canaries)
        is_stand_in = own["stand_ins"].is_module
        self._finder = Finder(self._peer, is_stand_in, (tests, order["measure"]))
        self._together = frozenset(order["together"])
        self._files = {os.path.join(self._root, path) for path in (*order["apart"], canaries)}
        self._launch()

    def _launch(self) -> None:
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "code_side.py")
        told = json.dumps({"folders": self._folders, "measure": self._order["measure"]})
        descriptor = self._theirs.fileno()
        argv = [sys.executable, "-B", "-I", program, str(descriptor), told]
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[descriptor])
        self._theirs.close()

    def start(self) -> None:
        """Open the tree to imports."""
        # The standard library comes before anything that the code may write into the tree.
        installed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        place = sys.path.index(installed[0]) if installed else len(sys.path)
        sys.path[place:place] = self._folders

    def pytest_load_initial_conftests(self, early_config: Any) -> None:
        """Come before pytest's own finder, which would load whatever has the name of a module of tests."""
        # Where a test fails, all run again, and what is told of it is told by that run.
        early_config.option.tbstyle = "line"
        # Nothing is read that was compiled before: what lies in a writable folder may be the code's.
        sys.pycache_prefix = os.devnull
        sys.meta_path.insert(0, self._finder)

    def pytest_ignore_collect(self, collection_path: Any) -> bool | None:
        """Leave out the files whose tests need one process."""
        left_out = collection_path.suffix == ".py" and str(collection_path) not in self._files
        return True if left_out else None

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out the tests that need one process."""
        items[:] = [item for item in items if self._together.isdisjoint(_around(item.nodeid))]

    def percent(self) -> float | None:
        """The line coverage as the other process says."""
        try:
            found = self._peer.ask("percent")
        except self._none:
            return None
        return float(found) if isinstance(found, int | float) and 0 <= found <= _ALL else None


def _around(test: str) -> list[str]:
    """A test's id without parameters, and those of its classes and its file."""
    parts = test.partition("[")[0].split("::")
    return ["::".join(parts[:count]) for count in range(1, len(parts) + 1)]
