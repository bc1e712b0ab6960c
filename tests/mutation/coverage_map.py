"""Which test executes which line, and how long it takes: measured once, kept outside Git.

A map has parts, one for each run of tests. A part keeps the source as it was, so that its lines are found
again in a source that has grown since; a test belongs to the latest part that has it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

from coverage import CoverageData

from tests.mutation.recorder import RUNNING_TEST

FOLDERS = (
    "tests/runtime",
    "tests/bus",
    "tests/agents",
    "tests/keeper",
    "tests/orchestrator",
    "tests/facade",
    "tests/contracts",
    "tests/simulation",
)
"""Tests in this process or in processes that coverage can follow. Those of `tests/e2e` start the installed
command with an environment of its own, and most take longer than a mutant may.
"""

_SLOWER = "[postgresql"
"""How the name of a test goes on that has run on SQLite as well."""

_SETTINGS = f"""[run]
branch = false
core = ctrace
relative_files = true
patch =
    subprocess
    fork
    _exit
context = ${{{RUNNING_TEST}-}}
source =
"""


class MapFailed(Exception):
    """Tests could not be run for the map, or fail without any mutant."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A test that passed, with how long it took in seconds, fixtures included."""

    name: str
    seconds: float


class CoverageMap:
    """A map that was measured."""

    def __init__(self, folder: Path) -> None:
        self._parts = [_Part(path) for path in _paths(folder)]
        self._home = {test: part for part in self._parts for test in part.seconds}

    def knows(self, folder: str) -> bool:
        """Whether tests of this folder were measured."""
        return any(test.startswith(f"{folder}/") for test in self._home)

    def reaching(self, root: Path, file: str, lines: Iterable[int]) -> list[Timed]:
        """The tests that execute one of these lines, the nearest and fastest first.

        A test is the nearer the larger the part of what it executes that lies in this file. What runs on
        both databases has its turn on the slower one when all others had theirs.
        """
        found: dict[str, tuple[bool, float]] = {}
        for part in self._parts:
            for test in part.reaching(file, part.old_lines(root, file, frozenset(lines))):
                if self._home.get(test) is part:
                    cost = (part.seconds[test] + 0.02) / part.share(test, file)
                    found[test] = (_SLOWER in test, cost)
        return [Timed(test, self._home[test].seconds[test]) for test in sorted(found, key=found.__getitem__)]


class _Part:
    def __init__(self, path: Path) -> None:
        self._path = path
        ended = (json.loads(line) for line in (path / "tests.jsonl").read_text("utf-8").splitlines())
        self.seconds: dict[str, float] = {
            one["test"]: one["seconds"] for one in ended if one.get("outcome") == "passed"
        }
        self._tests: dict[str, dict[int, frozenset[str]]] = {}
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        data = _coverage(path)
        for file in data.measured_files():
            by_line = data.contexts_by_lineno(file)
            self._tests[file] = {line: frozenset(map(_test_of, names)) for line, names in by_line.items()}
            for tests in self._tests[file].values():
                for test in tests:
                    self._counts[test][file] += 1

    def reaching(self, file: str, lines: Iterable[int]) -> set[str]:
        by_line = self._tests.get(file, {})
        return {test for line in lines for test in by_line.get(line, ())} & self.seconds.keys()

    def share(self, test: str, file: str) -> float:
        """The part of the lines it executes that lie in this file."""
        counts = self._counts[test]
        return counts[file] / counts.total()

    def old_lines(self, root: Path, file: str, lines: frozenset[int]) -> Iterable[int]:
        """Where these lines of the present source were when this was measured."""
        moved = _moved(self._path / "source" / file, root / file)
        return [moved[line] for line in lines if line in moved]


@cache
def _moved(before: Path, after: Path) -> dict[int, int]:
    """For each line that is still the same: its number now, and then."""
    if not before.exists():
        return {}
    old, new = (path.read_text("utf-8").splitlines() for path in (before, after))
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return {block.b + n + 1: block.a + n + 1 for block in blocks for n in range(block.size)}


def _test_of(context: str) -> str:
    for phase in ("|setup", "|run", "|teardown"):
        context = context.removesuffix(phase)
    return context


def _coverage(part: Path) -> CoverageData:
    data = CoverageData(str(part / "coverage"))
    data.read()
    return data


def _paths(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*") if path.name.isdecimal()), key=lambda one: int(one.name))


def measure(root: Path, folder: Path, tests: Sequence[str], packages: Sequence[str], jobs: int) -> None:
    """Run tests and add them to the map as its latest part: what they execute of these packages.

    Tests that fail or are skipped are left out.
    """
    number = max((int(part.name) for part in _paths(folder)), default=0) + 1
    part = folder / f"{number}.making"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    settings = part / "coveragerc"
    settings.write_text(_SETTINGS + "".join(f"    {name}\n" for name in packages), "utf-8")
    argv = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(jobs)]
    argv += ["-p", "tests.mutation.recorder", "--record", str(part / "tests.jsonl")]
    argv += ["--cov", "--cov-config", str(settings), "--cov-context", "test", "--cov-report="]
    env = {**os.environ, "COVERAGE_FILE": str(part / "coverage")}
    done = subprocess.run(
        [sys.executable, *argv, *tests], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1} or not (part / "coverage").exists():
        raise MapFailed(f"pytest ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    for file in _coverage(part).measured_files():
        kept = part / "source" / file
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, kept)
    part.rename(folder / str(number))
