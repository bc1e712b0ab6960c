"""What paths say: which names others import them by, what a test is about, which files a request names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

_AFFIX: Final = re.compile(
    r"^(test_|tests_|Test(?=[A-Z]))|([_.-](tests?|spec|bench)|(?<=[a-z0-9])(Tests?|IT))$"
)
_FOLDER_FILES: Final = frozenset({"__init__", "index", "mod", "lib", "main"})


def module_name(path: str) -> str:
    """The name under which other files import this one, in lower case."""
    folders, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    return (folders.rpartition("/")[2] if stem in _FOLDER_FILES and folders else stem).lower()


def subject_of(path: str) -> str:
    """What a test is about, or code is: its name without what says "test", in lower case."""
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    return _AFFIX.sub("", stem).replace("_", "").replace("-", "").lower()


def named_files(paths: Sequence[str], named: Iterable[str]) -> dict[int, float]:
    """Where in `paths` the files are that a request names, with the share of one that each is.

    A stack trace names files of another machine, so the ends of paths are compared.
    """
    by_name: dict[str, list[int]] = defaultdict(list)
    for at, path in enumerate(paths):
        by_name[path.rpartition("/")[2]].append(at)
    found: dict[int, float] = defaultdict(float)
    for wanted in named:
        alike = {at: _common_end(paths[at], wanted) for at in by_name.get(wanted.rpartition("/")[2], ())}
        best = [at for at, parts in alike.items() if parts == max(alike.values())]
        for at in best:
            found[at] = max(found[at], 1 / len(best))
    return found


def _common_end(one: str, other: str) -> int:
    """How many names two paths have in common at their ends."""
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(one.count("/"), other.count("/")) + 1)
