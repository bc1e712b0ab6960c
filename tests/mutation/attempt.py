"""What becomes of one mutant: the tests that reach it, and the simulation by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.mutation.coverage_map import Timed
from tests.mutation.mutant import Mutant
from tests.mutation.trial import Ended, How, Trials

SIMULATION = "tests/simulation/"
SCHEDULES = 2_000


class Verdict(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    """All tests that reach it pass."""

    LATE = "late"
    """No test failed, and not all had their turn in its time: not killed."""

    UNREACHED = "unreached"
    """No test reaches it."""


class Simulated(StrEnum):
    """What the simulation's schedules alone make of it."""

    NOTICED = "noticed"
    UNNOTICED = "unnoticed"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class Result:
    key: str
    verdict: Verdict
    by: str
    """The test that noticed; of what is late, the one that was running."""

    how: str
    simulated: Simulated
    seconds: float


def attempt(trials: Trials, mutant: Mutant, reaching: Sequence[Timed], seconds: float) -> Result:
    """Try a mutant for at most so long, and as long again in the simulation where that reaches it."""
    began = time.monotonic()
    tests = [one for one in reaching if not one.name.startswith(SIMULATION)]
    ended = _noticed(trials, mutant, tests, seconds)
    simulated = Simulated.UNREACHED
    if len(tests) < len(reaching):
        simulated = _simulated(trials, mutant, seconds)
    verdict, by, how = _verdict(ended, simulated)
    took = round(time.monotonic() - began, 1)
    return Result(mutant.key, verdict, by, how, simulated, took)


def _noticed(trials: Trials, mutant: Mutant, tests: Sequence[Timed], seconds: float) -> Ended | None:
    """None without tests. A test counts only if it passes without the mutant."""
    known = {one.name: one for one in tests}
    while tests := [one for one in tests if one.name not in trials.unsound]:
        with trials.tree.mutated(mutant):
            ended = trials.run(tests, seconds)
        if ended.how in {How.PASSED, How.LATE}:
            return ended
        passes = trials.passes(known.get(ended.test, tests[0]))
        if passes is not False:
            return ended if passes else Ended(How.LATE, ended.test)
    return None


def _simulated(trials: Trials, mutant: Mutant, seconds: float) -> Simulated:
    argv = ["-m", "tests.simulation", "--schedules", str(SCHEDULES), "--first"]
    with trials.tree.mutated(mutant):
        code = trials.run_alone(argv, seconds)
    return Simulated.NOTICED if code == 1 else Simulated.UNNOTICED


def _verdict(ended: Ended | None, simulated: Simulated) -> tuple[Verdict, str, str]:
    if ended is not None and ended.how in {How.FAILED, How.HUNG, How.BROKEN}:
        return Verdict.KILLED, ended.test, ended.how
    if simulated is Simulated.NOTICED:
        return Verdict.KILLED, SIMULATION, How.FAILED
    if ended is None:
        return (Verdict.UNREACHED if simulated is Simulated.UNREACHED else Verdict.SURVIVED), "", ""
    return (Verdict.LATE if ended.how is How.LATE else Verdict.SURVIVED), ended.test, ended.how
