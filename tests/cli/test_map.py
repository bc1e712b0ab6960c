"""`multi-agent map`, as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = tmp_path / "here"
    folder.mkdir()
    return Cli(folder)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "a repo"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src" / "box.py").write_text("class Box:\n    def grow(self): pass\n")
    (folder / "src" / "\x1b[31mred.py").write_text("def grow(): pass\n")
    for number in range(200):
        (folder / "src" / f"part{number}.py").write_text(f"def part{number}(): pass\n")
    commit_all(folder)
    return folder


def test_it_prints_the_files_of_a_request_within_the_tokens(cli: Cli, repo: Path) -> None:
    said = cli("map", "a box does not grow", "--repo", str(repo), "--tokens", "100")
    lines = said.stdout.splitlines()
    assert lines[:3] == ["src/box.py", "     1 class Box:", "     2     def grow(self): pass"]
    assert lines[-1].startswith("... and ")
    assert len(said.stdout) <= 401
    assert said.stderr == ""
    assert "\x1b" not in said.stdout


def test_programs_get_all_paths_in_their_order(cli: Cli, repo: Path) -> None:
    found = cli.json("map", "grow", "--repo", str(repo))
    assert found["commit"] == git(repo, "rev-parse", "HEAD")
    assert found["paths"][0] == "src/box.py"
    assert len(found["paths"]) == 201
    assert found["text"].startswith("src/box.py\n")
    assert found["note"] == ""
    assert [path.name for path in (cli.folder / ".multi_agent").iterdir()] == ["code-index"]


def test_it_needs_a_repository_with_a_commit(cli: Cli, tmp_path: Path) -> None:
    def told(*words: str) -> str:
        return cli("map", *words, code=2).stderr

    assert "is no Git repository; `git init` there, commit, and try again" in told("x")
    empty = tmp_path / "empty"
    git(tmp_path, "init", "-q", str(empty))
    assert "has no commit 'HEAD'; commit something first" in told("--repo", str(empty))
    assert "49 is not in the range" in told("--tokens", "49")
    assert not (cli.folder / ".multi_agent").exists()
