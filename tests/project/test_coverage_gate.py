"""The gate that `make test` puts behind the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.coverage_gate import GATED, verdicts
from tests.project.documented import ROOT

ALL = dict.fromkeys(GATED, 95.0)


def test_ninety_is_enough_and_less_is_not() -> None:
    assert verdicts(ALL | {"agents": 90.0})[1]
    lines, passed = verdicts(ALL | {"agents": 89.9})
    assert not passed
    assert [line.split()[0] for line in lines if "below 90 %" in line] == ["agents"]


def test_other_packages_are_only_shown() -> None:
    lines, passed = verdicts(ALL | {"multi_agent": 10.0})
    assert passed
    assert any("multi_agent" in line for line in lines)


@pytest.mark.slow
def test_too_little_fails_the_run_and_the_closing_line_is_last(tmp_path: Path) -> None:
    """One test covers next to nothing, so that the real gate must say no."""
    test = tmp_path / "test_little.py"
    test.write_text("def test_little():\n    import contracts.base.errors\n")
    command = [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), "-c", str(ROOT / "pyproject.toml")]
    command += [
        "--cov",
        "--cov-report=",
        "-p",
        "tests.project.coverage_gate",
        "-p",
        "no:cacheprovider",
        str(test),
    ]
    env = {**os.environ, "COVERAGE_FILE": str(tmp_path / ".coverage")}
    for name in [name for name in env if name.startswith(("PYTEST_", "COV_CORE"))]:
        del env[name]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "orchestrator       0.0 %  below 90 %" in done.stdout
    assert "1 passed in" in done.stdout.rstrip().splitlines()[-1]
