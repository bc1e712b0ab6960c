"""The benchmark of tests that run apart: which bugs count, and what is said of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.apart.__main__ import table
from benchmarks.apart.bugs import library, quixbugs
from benchmarks.apart.measuring import Measured, judge
from benchmarks.fixes.judging import Place, git
from sandbox_runner.local import bubblewrap
from tests.support import need

WRONG = "def half(n):\n    return n // 2\n"
RIGHT = "def half(n):\n    return n / 2\n"
TESTS = "from python_programs.half import half\n\ndef test_odd():\n    assert half(3) == 1.5\n"
PATCHES = "\ndef test_patch(monkeypatch):\n    monkeypatch.setattr('python_programs.half.half', int)\n"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A repository like QuixBugs, and at the same time one with a fix of a line, and one of two lines."""
    folder = tmp_path / "mirror"
    for name, text in (("python_programs", WRONG), ("correct_python_programs", RIGHT)):
        (folder / name).mkdir(parents=True)
        (folder / name / "half.py").write_text(text)
    (folder / "python_testcases").mkdir()
    git("init", "-q", "-b", "main", at=folder)
    for message, text, tests in (
        ("Begin", WRONG, TESTS),
        ("Fix halves", RIGHT, TESTS + PATCHES),
        ("Fix more", "# Halves.\n" + RIGHT.replace("2", "2.0"), TESTS),
        ("Begin anew", WRONG, TESTS + PATCHES),
    ):
        (folder / "python_programs/half.py").write_text(text)
        (folder / "python_testcases/test_half.py").write_text(tests)
        git("add", "--all", at=folder)
        git("commit", "-qm", message, at=folder)
    return folder


def test_a_fix_of_one_line_counts(mirror: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    [found] = library("owner/name", mirror / ".git", tree)
    assert list(found.tests.values()) == [("python_testcases/test_half.py",)]
    assert git("show", "HEAD:python_programs/half.py", at=tree) == RIGHT.rstrip()
    assert git("show", "HEAD^:python_programs/half.py", at=tree) == WRONG.rstrip()
    assert "test_patch" in git("show", "HEAD^:python_testcases/test_half.py", at=tree)


@pytest.mark.slow
async def test_a_bug_is_measured(mirror: Path, tmp_path: Path) -> None:
    need(bubblewrap.find() is not None, "bubblewrap is not installed")
    place = Place(tmp_path / "place", 60, 30)
    bugs = quixbugs(mirror, tmp_path / "tree")
    async with judge(bugs, place) as found:
        [(name, files)] = bugs.tests.items()
        measured = await found.measure(name, files)
    [reason] = measured.reasons
    assert asdict(measured) == asdict(Measured("half", 2, 1, "", False, {reason: 1}))
    assert "reaches into the process" in reason


def test_what_is_said() -> None:
    found = [Measured("gcd", 3, 3, "", False), Measured("owner/name abc", 1, 0, "1 failed", True, {"why": 1})]
    lines = list(table(found))
    assert lines[2:] == [
        "| jkoppel/QuixBugs | 1 | 3 | 3 | 100% |",
        "| owner/name | 1 | 1 | 0 | 0% |",
        "| all | 2 | 4 | 3 | 75% |",
        "owner/name abc: 1 failed",
        "1 why",
    ]
    assert list(table([]))[-1] == "| all | 0 | 0 | 0 | 0% |"
