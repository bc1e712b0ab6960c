"""Chooses the tests that may run in another process than the code they test.

Such tests know the code by what it returns, prints and raises. What reaches into its process, to patch, to
watch or to run inside of it, does not work from outside; the source says so by these words. What else does
not is noticed when it is tried, and costs only time; how the code leaves its process is not noticed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.testing.apart.reaching import Reaching

_REACHES_INSIDE: Final = re.compile(
    rb"\b(?:monkeypatch\.(?!setenv\b|delenv\b|chdir\b|syspath_prepend\b)|mock|mocker|caplog|recwarn|capfd\w*"
    rb"|capsysbinary|warns|deprecated_call|warnings|logging|gc|threading|asyncio|async|await|inspect|signal"
    rb"|reload|importlib|freezegun|freeze_time|time_machine|weakref|multiprocessing|builtins|hypothesis"
    rb"|getcontext|localcontext|\w*recursionlimit|umask|sys\.std\w+|\w*hook"
    rb"|issubclass|type\([^\n]{0,100}\)\s{1,4}(?:is\s+not|!=)\s{1,4}"
    rb"|not\s+isinstance\([^()]+,\s*\(?(?:str|int|float|bytes|list|dict|tuple|set|frozenset|complex)"
    rb"|process_time\w*|thread_time\w*|clock_gettime\w*|getrusage|psutil|tracemalloc|getsizeof|os\.times"
    rb"|__subclasses__|getrefcount|\w*seed\w*|getstate|setstate|locale|stdin|sys\.modules|sys\.exc\w+|sys\.settrace|sys\.argv)\b"
)
_REACHES_INSIDE_NODE: Final = re.compile(
    rb"\b(?:mock|process|global|globalThis|child_process|worker_threads|vm|cluster|inspector|v8|async_hooks"
    rb"|setPrototypeOf|__proto__|hasInstance|defineProperty|prepareStackTrace)\b"
    rb"|\b(?:console|Math|Date|JSON|Object|Number|String|Array|Error|\w+\.prototype)(?:\.\w+|\[.*?\])\s*=[^=>]"
)
_MAX_FILES: Final = 20
_MAX_BYTES: Final = 200_000
APART_SECONDS: Final = 20.0
"""How long the tests of a session may take apart; after that they run in one process alone."""


@dataclass(frozen=True, slots=True)
class ApartTests:
    """What of some files runs apart."""

    files: tuple[str, ...] = ()
    together: frozenset[str] = frozenset()
    """Ids, without parameters, of tests and classes in these files that do not."""

    def has(self, test_id: str) -> bool:
        """Whether a test is among those that do."""
        parts = test_id.split("::")
        around = ("::".join(parts[:count]) for count in range(1, len(parts) + 1))
        return parts[0] in self.files and self.together.isdisjoint(around)


def apart_tests(selected: Mapping[str, bytes], fixtures: Mapping[str, bytes]) -> ApartTests:
    """The tests in the files `selected` that may run apart; none of too many files.

    `fixtures`: `conftest.py` files, each for what is in its folder and below.
    """
    if not _are_few(selected):
        return ApartTests()
    suspect: dict[str, set[str]] = {}
    inside: list[str] = []
    for path in sorted(fixtures, key=lambda path: path.count("/")):
        folder = path.removesuffix("conftest.py")
        above = (names for other, names in suspect.items() if folder.startswith(other))
        found = Reaching(path, fixtures[path], _REACHES_INSIDE, set().union(*above))
        suspect[folder] = found.fixtures
        inside += [folder] if path in found.tests else []
    files, together = [], set[str]()
    for path, content in sorted(selected.items()):
        names = set[str]().union(*(one for folder, one in suspect.items() if path.startswith(folder)))
        tests = Reaching(path, content, _REACHES_INSIDE, names).tests
        if path not in tests and not any(path.startswith(folder) for folder in inside):
            files.append(path)
            together |= tests
    return ApartTests(tuple(files), frozenset(together))


def apart_node_files(targets: Sequence[str], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The same for files with tests for Node.js, which are `targets`."""
    selected = {path: files[path] for path in targets}
    if not _are_few(selected):
        return ()
    return tuple(path for path in targets if not _REACHES_INSIDE_NODE.search(selected[path]))


def _are_few(selected: Mapping[str, bytes]) -> bool:
    return len(selected) <= _MAX_FILES and sum(map(len, selected.values())) <= _MAX_BYTES
