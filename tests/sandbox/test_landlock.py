"""Landlock by itself, without any other wall: what it takes from a process, and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox_runner.guest import landlock, linux
from tests.support import need

PROGRAM = """
import json, os, sys
from sandbox_runner.guest import landlock, linux
version, folder, outside, pid = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
landlock.abi = lambda: version
linux._prctl("no_new_privs", linux._PR_SET_NO_NEW_PRIVS, 1)
landlock.restrict([folder])
def attempt(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"
os.makedirs(folder + "/a"), os.makedirs(folder + "/b")
print(json.dumps({
    "write": attempt(lambda: open(outside, "w")),
    "remove": attempt(lambda: os.remove(outside)),
    "own": attempt(lambda: open(folder + "/a/x", "w").write("1")),
    "rename": attempt(lambda: os.rename(folder + "/a/x", folder + "/b/x")),
    "truncate": attempt(lambda: os.truncate(folder + "/b/x", 0)),
    "read": attempt(lambda: open(outside).read()),
    "null": attempt(lambda: open("/dev/null", "w").write("x")),
    "execute": attempt(lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true"]) and 1 / 0),
    "signal": attempt(lambda: os.kill(pid, 0)),
}))
"""


def _restricted(version: int, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "inside").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("kept")
    argv = [
        sys.executable,
        "-c",
        PROGRAM,
        str(version),
        str(tmp_path / "inside"),
        str(outside),
        str(os.getpid()),
    ]
    done = subprocess.run(argv, capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert outside.read_text() == "kept"
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_holds(version: int, tmp_path: Path) -> None:
    need(landlock.abi() >= version, f"the kernel has no Landlock of ABI {version}")
    assert _restricted(version, tmp_path) == {
        "write": "PermissionError",
        "remove": "PermissionError",
        "own": "done",
        "rename": "done",
        "truncate": "done",
        "read": "done",
        "null": "done",
        "execute": "done",
        "signal": "PermissionError" if version >= 6 else "done",
    }


def test_without_it_nothing_changes(tmp_path: Path) -> None:
    """Version 0 is a kernel without it; the same program may do all that its user may."""
    (tmp_path / "inside").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("kept")
    argv = [sys.executable, "-c", PROGRAM, "0", str(tmp_path / "inside"), str(outside), str(os.getpid())]
    done = subprocess.run(argv, capture_output=True, check=True, cwd=Path(__file__).parents[2])
    seen = json.loads(done.stdout)
    assert (seen["write"], seen["remove"]) == ("done", "done")


def test_a_useless_version_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, usable in ((-1, 0), (1, 0), (2, 2), (7, 7)):
        monkeypatch.setattr(linux, "syscall", lambda *_, found=found: found)
        assert landlock.abi() == usable
