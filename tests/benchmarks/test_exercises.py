"""The benchmark of exercises: hidden tests accept the solutions and nothing that is not there yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.exercises.__main__ import solved, table
from benchmarks.exercises.exercise import exercises
from benchmarks.fixes.cases import keep
from benchmarks.fixes.judging import Place
from sandbox_runner.local import bubblewrap
from tests.support import need

ALL = exercises()
PYTEST = (sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider")


def outcomes(folder: Path, *, stubs: bool) -> str:
    """The last line of a run of all hidden tests."""
    for one in ALL:
        place = folder / one.name
        place.mkdir(parents=True)
        (place / one.path).write_text(one.stub if stubs else one.solution)
        (place / f"test_{one.name}.py").write_text(one.tests)
    command = (*PYTEST, f"--rootdir={folder}", str(folder))
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[-1]


def test_solutions_pass_and_stubs_fail(tmp_path: Path) -> None:
    assert len(ALL) == 10
    right, wrong = (outcomes(tmp_path / str(stubs), stubs=stubs).split() for stubs in (False, True))
    assert (right[1], wrong[1]) == ("passed", "failed"), "all of them"
    assert right[0] == wrong[0]


@pytest.mark.slow
async def test_what_was_made_is_judged(tmp_path: Path) -> None:
    need(bubblewrap.find() is not None, "bubblewrap is not installed")
    [one] = [exercise for exercise in ALL if exercise.name == "spiral"]
    judge = Place(tmp_path / "judge", 60, 60)
    judge.folder.mkdir()
    place = tmp_path / "spiral" / "question"
    place.mkdir(parents=True)
    counts = {"model_calls": 1, "input_tokens": 100, "output_tokens": 50}
    keep(place, "summary", {"content": one.solution, **counts})
    assert (await table([one], tmp_path))[2] == "| spiral | question | yes |  |  | 1 | 100 | 50 |"
    keep(place, "summary", {"content": one.stub, **counts})
    assert not await solved(one, place, judge)
