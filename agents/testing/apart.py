"""Chooses the files whose tests may run in another process than the code they test.

Such tests know the code by what it returns, prints and raises. What reaches into its process, to patch, to
watch or to run inside of it, does not work from outside; the source says so by these words. What is
overlooked here is noticed when it is tried, and costs only time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_REACHES_INSIDE: Final = re.compile(
    rb"\b(?:monkeypatch\.(?!setenv\b|delenv\b|chdir\b|syspath_prepend\b)|mock|mocker|caplog|recwarn|capfd\w*"
    rb"|capsysbinary|warns|deprecated_call|warnings|logging|gc|threading|asyncio|async|await|inspect|signal"
    rb"|reload|importlib|freezegun|freeze_time|time_machine|weakref|multiprocessing|builtins|hypothesis"
    rb"|getcontext|localcontext|\w*recursionlimit|umask|sys\.std\w+|\w*hook"
    rb"|not\s+is(?:instance|subclass)\([^()]+,\s*\(?(?:str|int|float|bytes|list|dict|tuple|set|frozenset|complex)"
    rb"|__subclasses__|getrefcount|locale|stdin|sys\.modules|sys\.exc\w+|sys\.settrace|sys\.argv)\b"
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


def apart_files(selected: Mapping[str, bytes], fixtures: Mapping[str, bytes]) -> tuple[str, ...]:
    """The files among `selected` whose tests may run apart; none of too many.

    `fixtures`: `conftest.py` files, each for what is in its folder and below.
    """
    if not _are_few(selected):
        return ()
    inside = [path.removesuffix("conftest.py") for path in fixtures if _REACHES_INSIDE.search(fixtures[path])]
    return tuple(
        path
        for path, content in sorted(selected.items())
        if not _REACHES_INSIDE.search(content) and not any(path.startswith(folder) for folder in inside)
    )


def apart_node_files(targets: Sequence[str], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The same for files with tests for Node.js, which are `targets`."""
    selected = {path: files[path] for path in targets}
    if not _are_few(selected):
        return ()
    return tuple(path for path in targets if not _REACHES_INSIDE_NODE.search(selected[path]))


def _are_few(selected: Mapping[str, bytes]) -> bool:
    return len(selected) <= _MAX_FILES and sum(map(len, selected.values())) <= _MAX_BYTES
