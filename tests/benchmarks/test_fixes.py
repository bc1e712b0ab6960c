"""The benchmark of real bug fixes: what serves is chosen, and only the tests of the fix judge a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fixes.__main__ import choose, verdict
from benchmarks.fixes.choosing import candidates
from benchmarks.fixes.judging import Place, git
from sandbox_runner.local import bubblewrap
from tests.support import need

NAME = "owner/name"
WRONG = "def half(n):\n    return n // 2\n"
RIGHT = "def half(n):\n    return n / 2\n"
OLD_TEST = "from app import half\n\ndef test_even():\n    assert half(4) == 2\n"
NEW_TEST = OLD_TEST + "\ndef test_odd():\n    assert half(3) == 1.5\n"


def _commit(repository: Path, message: str, files: dict[str, str]) -> str:
    for path, text in files.items():
        (repository / path).write_text(text)
    git("add", "--all", at=repository)
    git("commit", "-qm", message, at=repository)
    return git("rev-parse", "HEAD", at=repository)


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    """One repository: a fix, and after it what is none."""
    repository = tmp_path / "mirrors" / "owner+name" / "repo"
    repository.mkdir(parents=True)
    git("init", "-q", "-b", "main", at=repository)
    _commit(repository, "Begin", {"app.py": WRONG, "test_app.py": OLD_TEST})
    message = "Fix halves of odd numbers in app.py\n\nIt cut them off.\n\nSigned-off-by: A <a@localhost>"
    _commit(repository, message, {"app.py": RIGHT, "test_app.py": NEW_TEST})
    _commit(repository, "Fix nothing", {"test_app.py": NEW_TEST + "\n"})
    _commit(repository, "Add more", {"app.py": RIGHT + "\n", "test_app.py": NEW_TEST})
    return tmp_path / "mirrors"


def test_a_fix_says_so_and_changes_a_source_and_a_test(mirrors: Path) -> None:
    [found] = candidates(NAME, mirrors / "owner+name" / "repo" / ".git")
    assert found.request == "Fix halves of odd numbers in  \n\nIt cut them off."
    assert (found.sources, found.tests) == (("app.py",), ("test_app.py",))


@pytest.mark.slow
async def test_results_are_judged_by_the_tests_of_the_fix(mirrors: Path, tmp_path: Path) -> None:
    need(bubblewrap.find() is not None, "bubblewrap is not installed")
    place = Place(tmp_path / "judge", 60, 60)
    place.folder.mkdir()
    await choose([NAME], mirrors, tmp_path, place, 8, 2)
    case = tmp_path / "1"
    assert json.loads((case / "case.json").read_text())["mended"] == ["test_app.py::test_odd"]
    (case / "repository/kept").touch()
    await choose([NAME], mirrors, tmp_path, place, 8, 2)
    assert (case / "repository/kept").exists(), "what was chosen stays"
    (case / "repository/kept").unlink()

    async def ended(status: str, content: str) -> dict[str, Any]:
        git("checkout", "-q", "--detach", "main", at=case / "repository")
        commit = _commit(case / "repository", "A result", {"app.py": content, "more.txt": content})
        summary = {"status": status, "store": str(case / "repository"), "commit": commit}
        (case / "summary.json").write_text(json.dumps(summary))
        return await verdict(case, place)

    right = await ended("completed", RIGHT)
    assert (right["fixed"], right["broken"]) == (True, [])
    wrong = await ended("completed", WRONG.replace("2", "3"))
    assert (wrong["fixed"], wrong["failing"]) == (False, ["test_app.py::test_odd"])
    assert wrong["broken"] == ["test_app.py::test_even"]
