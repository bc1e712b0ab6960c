"""What `make` and `.ci/run` do, tried with an environment whose programs only note how they were called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.documented import ROOT, make_targets

NOTE = """#!{python}
import json, os, sys
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
"""
DEFAULT = "Create a simple SMA crossover strategy"
PARTS = ("Makefile", ".ci", "scripts", "requirements", "pyproject.toml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of a build, and an environment that looks installed, newer than all of them."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part)
        else:
            shutil.copy(source, tmp_path / part)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("multi-agent", "python", "ruff", "mypy", "lint-imports"):
        (programs / name).write_text(NOTE.format(python=sys.executable))
        (programs / name).chmod(0o755)
    newest = max(path.stat().st_mtime for path in tmp_path.rglob("*")) + 10
    (programs.parent / ".installed-dev").touch()
    os.utime(programs.parent / ".installed-dev", (newest, newest))
    return tmp_path


def called(project: Path, *command: str, **variables: str) -> list[list[str]]:
    """How the programs of the environment were called by a command."""
    notes = project / "notes"
    notes.write_text("")
    env = {"PATH": os.environ["PATH"], "HOME": str(project / "home"), "NOTES": str(notes), **variables}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in notes.read_text().splitlines()]


def test_the_targets_that_everybody_expects() -> None:
    assert {"run", "test", "check", "format", "install", "lock", "clean", "help"} <= make_targets()


@pytest.mark.parametrize(
    "request_text",
    ['it\'s "quoted"', "$HOME $(HOME) $$ `id` $(id)", "a\nb", "100 % # ; | & \\", "--help", "ümläut"],
)
def test_a_request_arrives_as_it_was_typed(project: Path, request_text: str) -> None:
    expected = [["multi-agent", "run", "--", request_text]]
    assert called(project, "make", "run", REQUEST=request_text) == expected
    assert called(project, "make", "run", f"REQUEST={request_text}") == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["--", DEFAULT]),
        (["ARGS=--workers 3"], ["--workers", "3", "--", DEFAULT]),
        (["ARGS=--resume w1"], ["--resume", "w1"]),
        (["ARGS=--plan=p.json"], ["--plan=p.json"]),
    ],
)
def test_what_make_run_runs(project: Path, arguments: list[str], expected: list[str]) -> None:
    assert called(project, "make", "run", *arguments) == [["multi-agent", "run", *expected]]


@pytest.mark.parametrize(
    ("variables", "locks"),
    [
        ({}, {"build", "run"}),
        ({"GEMINI_API_KEY": "k"}, {"build", "run", "gemini"}),
        ({"GOOGLE_API_KEY": "k"}, {"build", "run", "gemini"}),
        ({"OPENAI_BASE_URL": "u", "DATABASE_URL": "d"}, {"build", "run", "openai", "postgres"}),
        ({"ANTHROPIC_API_KEY": "k"}, {"build", "run", "anthropic"}),
    ],
)
def test_what_make_run_installs(project: Path, variables: dict[str, str], locks: set[str]) -> None:
    (project / ".venv" / ".installed-dev").unlink()
    calls = called(project, "make", "run", **variables)
    installs = [call for call in calls if call[:4] == ["python", "-m", "pip", "install"]]
    assert {Path(word).stem for word in installs[0] if word.endswith(".lock")} == locks
    assert {"--no-deps", "--require-hashes"} <= set(installs[0])
    assert {"--no-deps", "--no-build-isolation", "--editable"} <= set(installs[1])
    again = called(project, "make", "run", **variables)
    assert again == [["multi-agent", "run", "--", DEFAULT]]


def test_a_changed_lock_is_installed(project: Path) -> None:
    lock = project / "requirements" / "dev.lock"
    later = (project / ".venv" / ".installed-dev").stat().st_mtime + 10
    os.utime(lock, (later, later))
    assert any("pip" in call for call in called(project, "make", "run"))


def test_ci_runs_the_checks_and_then_the_tests(project: Path) -> None:
    (project / "scripts" / "services.sh").write_text("#!/bin/sh\n")
    calls = called(project, str(project / ".ci" / "run"))
    *checks, tests = calls
    assert [call[0] for call in checks] == ["ruff", "ruff", "mypy", "lint-imports", "python", "python"]
    assert tests[:3] == ["python", "-m", "pytest"]
    assert {"--cov", "tests.project.coverage_gate"} <= set(tests)


NEEDED = ("python3", "git", "make", "sh")
COREUTILS = ("cat", "chmod", "cp", "echo", "env", "ls", "mkdir", "mv", "rm", "touch", "true")


@pytest.fixture
def little(tmp_path: Path) -> str:
    """A PATH with python3, git, make and coreutils alone: no grep, awk, sed or curl."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in (*NEEDED, *COREUTILS):
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def test_help_and_run_need_no_other_programs(project: Path, little: str) -> None:
    (project / ".venv" / ".installed-dev").unlink()
    calls = called(project, "make", "run", PATH=little)
    assert calls[-1] == ["multi-agent", "run", "--", DEFAULT]
    done = subprocess.run(
        ["make", "help"], cwd=project, env={"PATH": little}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    shown = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"run", "test", "help", "clean"} <= shown <= make_targets()


def test_what_is_installed_is_compiled(project: Path) -> None:
    """Where no bytecode is written later, every start would compile everything again."""
    (project / ".venv" / ".installed-dev").unlink()
    calls = called(project, "make", "run", PYTHONDONTWRITEBYTECODE="1")
    compiled = next(call for call in calls if "compileall" in call)
    assert {"multi_agent", "orchestrator", "agents", "contracts"} <= set(compiled)


def test_no_python_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "install.sh", str(tmp_path / "venv"), "no.lock"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No Python 3.11, 3.12 or 3.13 found as no-such-python" in done.stderr
