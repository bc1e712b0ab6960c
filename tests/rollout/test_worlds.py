"""The simulation, short, and requests while workers are killed, few; both are commands of their own."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.rollout.__main__ import summary
from benchmarks.rollout.gates import LooksAtTheMean, OurGate, course
from benchmarks.rollout.worlds import WORLDS
from tests.project.documented import ROOT


def test_equal_arms_pass_the_first_stage_and_bad_ones_are_rolled_back() -> None:
    equal = summary([course(WORLDS["equal"], OurGate(seed), seed, most=4_000) for seed in range(12)])
    assert (equal["first_stage_in_time"] or 0) >= 8
    assert equal["false_rollbacks"] == 0
    bad = summary([course(WORLDS["worse by 15"], OurGate(seed), seed, most=5_000) for seed in range(8)])
    assert bad["false_promotions"] == 0
    assert (bad["rolled_back"] or 0) >= 7
    naive = [course(WORLDS["worse by 5"], LooksAtTheMean(seed), seed, most=3_000) for seed in range(12)]
    assert (summary(naive)["false_promotions"] or 0) >= 6, "the simulation tells a bad gate from a good one"


def test_late_failures_open_no_gate() -> None:
    world = WORLDS["delayed outcomes, worse by 5"]
    late = summary([course(world, OurGate(seed), seed, most=3_000) for seed in range(10)])
    assert (late["false_promotions"] or 0) <= 2


def test_requests_are_answered_once_by_their_arm_while_workers_are_killed() -> None:
    words = [sys.executable, "-m", "tests.rollout.kills", "--requests", "6", "--kills", "1"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert (found["answered_once"], found["by_their_arm"], found["as_scripted"]) == (6, 6, 6)
    assert (found["recorded"], found["kills"]) == (6, {"worker": 1})
