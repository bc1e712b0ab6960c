"""The files of the repository as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.documented import ROOT

# This very folder, unless its name is so short that it may mean something else, and private hosts.
HERE = [re.escape(f"{ROOT}/")] if len(ROOT.parts) > 2 else []
PRIVATE = re.compile("|".join([*HERE, r"://[\w.-]+\.(?:internal|corp|lan|intranet)\b"]))
UNTRACKED = re.compile(
    r"(^|/)(\.git|\.venv|\.multi_agent|\.hypothesis|plans|build|dist|__pycache__|\.\w+_cache)/"
)


def repository_files() -> list[Path]:
    """What Git tracks, or would, where this is a repository; everything where it is not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not UNTRACKED.search(path.relative_to(ROOT).as_posix())]
    return [path for path in paths if path.is_file() and not path.name.startswith(".coverage")]


def test_no_file_names_a_private_place() -> None:
    found = []
    for path in repository_files():
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
            if match := PRIVATE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert not found


def test_no_file_is_large() -> None:
    large = {str(path.relative_to(ROOT)): path.stat().st_size for path in repository_files()}
    assert {name: size for name, size in large.items() if size > 512 * 1024} == {}


@pytest.mark.parametrize("name", [".ci/run", "scripts/install.sh", "scripts/services.sh", "scripts/lock.sh"])
def test_scripts_can_be_run(name: str) -> None:
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    shell = path.read_text("utf-8").splitlines()[0].removeprefix("#!").split()
    assert subprocess.run([*shell, "-n", str(path)], check=False).returncode == 0


@pytest.mark.slow
def test_imports_go_one_way(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(part) for part in (program, "--config", ROOT / "pyproject.toml", "--cache-dir", tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
