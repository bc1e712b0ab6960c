"""Repositories with bugs of one line: the commit before HEAD has them, HEAD has not."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.fixes.choosing import Fix, candidates
from benchmarks.fixes.judging import git, lay
from contracts.base.languages import PYTHON

EACH: Final = 4
_LIST: Final = Path(__file__).parents[1] / "fixes" / "repositories.toml"
_ONE_LINE: Final = ["1", "1"]
_NEWEST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Bugs:
    """Bugs of one repository."""

    tree: Path
    tests: Mapping[str, tuple[str, ...]]
    """What a bug is called -> the files whose tests tell of it."""


def quixbugs(mirror: Path, tree: Path) -> Bugs:
    """All programs of QuixBugs that have tests for pytest; the mended ones are those of its authors."""
    shutil.rmtree(tree, ignore_errors=True)
    git("clone", "-q", str(mirror), str(tree))
    git("checkout", "-q", "-B", "main", "HEAD", at=tree)
    for path in (tree / "correct_python_programs").glob("*.py"):
        if not PYTHON.is_test_file(path.name):
            shutil.copy(path, tree / "python_programs" / path.name)
    git("commit", "-q", "-a", "-m", "Mended", at=tree)
    files = sorted((tree / "python_testcases").glob("test_*.py"))
    return Bugs(tree, {path.stem.removeprefix("test_"): (f"python_testcases/{path.name}",) for path in files})


def names() -> list[str]:
    """The repositories of libraries, in the order of the list."""
    found: list[str] = tomllib.loads(_LIST.read_text("utf-8"))["names"]
    return found


def library(name: str, mirror: Path, tree: Path) -> Iterator[Bugs]:
    """Yield its fixes of one line in one file, the newest first, each laid out when it is asked for.

    One says fix or bug in its first line and changes or adds a file with tests; what these fail of without it
    is not asked.
    """
    for fix in candidates(name, mirror, _NEWEST):
        tests = tuple(filter(PYTHON.is_test_file, fix.tests))
        if tests and len(fix.sources) == 1 and _changed_lines(fix, mirror) == _ONE_LINE:
            lay(mirror, fix.parent, tree, tests_of=fix)
            git("fetch", "-q", str(mirror), fix.commit, at=tree)
            git("checkout", "-q", fix.commit, "--", *fix.sources, at=tree)
            git("commit", "-q", "-m", "Mended", at=tree)
            yield Bugs(tree, {f"{name} {fix.commit[:12]}": tests})


def _changed_lines(fix: Fix, mirror: Path) -> list[str]:
    return git("diff", "--numstat", fix.parent, fix.commit, "--", *fix.sources, at=mirror).split()[:2]
