"""Gates under trial: ours, a look at the mean, and a test for one fixed number of requests."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Literal, Protocol

from benchmarks.rollout.worlds import MARGIN, Request, World
from multi_agent.rollout.assignment import Flag, assigned, key_hash
from multi_agent.rollout.decision import decide
from multi_agent.rollout.evidence import Assigned, OutcomeGroup
from multi_agent.rollout.figures import StageFigures
from multi_agent.rollout.plan import STAGES, RolloutLimits, RolloutPlan
from orchestrator.storage.rollouts.recording import BLOCK, legacy_centre

LOOK: Final = 200
"""Requests between two looks."""
HORIZON: Final = 4_000
"""Requests for which the fixed test is made, in each stage."""
MOST_REQUESTS: Final = 8_000
PLAN: Final = RolloutPlan(
    stages=tuple(stage.model_copy(update={"hours": 0.0}) for stage in STAGES),
    limits=RolloutLimits(margin=MARGIN, cost_usd=None, findings=None, satisfaction=None),
)
"""Without least durations: nothing but its evidence holds it back."""

Word = Literal["stay", "promote", "rollback"]


class Gate(Protocol):
    """Decides about one rollout."""

    def begin(self, stage: int) -> None:
        """A stage begins."""

    def take(self, request: Request) -> Assigned:
        """A request comes."""

    def look(self) -> Word:
        """What to do, after LOOK more requests."""


class OurGate:
    """The product's own decision, with the time of an arm left out."""

    def __init__(self, seed: int, plan: RolloutPlan = PLAN) -> None:
        self._plan, self._name = plan, str(seed)
        self.begin(0)

    def begin(self, stage: int) -> None:
        """See Gate."""
        now = self._plan.stages[stage]
        self._stage, self._flag = stage, Flag(now.percent, now.shadow, self._name, stage, "running")
        self._counts: Counter[tuple[int, Assigned, int, bool | None, bool | None]] = Counter()
        self._late: list[tuple[int, int, str, bool]] = []
        self._open: dict[int, tuple[int, Assigned, int, bool | None, bool | None]] = {}
        self._seen: set[int] = set()
        self._number = self._ended = self._succeeded = 0

    def take(self, request: Request) -> Assigned:
        """See Gate."""
        arm = assigned(self._flag, key_hash(self._name, str(request.key)))
        self._end_late()
        if request.key not in self._seen:
            self._seen.add(request.key)
            centre = legacy_centre(self._ended, self._succeeded)
            entry = (self._number // BLOCK, arm, centre, None, None)
            self._counts[entry] += 1
            self._open[self._number] = entry
            if arm != "multi_agent":
                self._later(request.legacy_delay, "legacy", request.legacy)
            if arm != "legacy":
                self._later(request.delay, "multi_agent", request.multi_agent)
        self._number += 1
        return arm

    def _later(self, delay: int, arm: str, success: bool) -> None:
        if delay:
            heappush(self._late, (self._number + delay, self._number, arm, success))
        else:
            self._end(self._number, arm, success)

    def _end_late(self) -> None:
        while self._late and self._late[0][0] <= self._number:
            _, number, arm, success = heappop(self._late)
            self._end(number, arm, success)

    def _end(self, number: int, arm: str, success: bool) -> None:
        block, given, centre, legacy, ours = entry = self._open[number]
        if arm == "legacy":
            legacy = success
            self._ended, self._succeeded = self._ended + 1, self._succeeded + success
        else:
            ours = success
        self._counts[entry] -= 1
        self._open[number] = (block, given, centre, legacy, ours)
        self._counts[self._open[number]] += 1

    def look(self) -> Word:
        """See Gate."""
        flag = self._flag
        outcomes = tuple(
            OutcomeGroup(block, flag.percent, flag.shadow, given, centre, legacy, ours, count)
            for (block, given, centre, legacy, ours), count in self._counts.items()
            if count
        )
        decision = decide(self._plan, self._stage, 0.0, StageFigures(outcomes=outcomes))
        if decision.action == "rollback":
            return "rollback"
        closed = [check.name for check in decision.checks if not check.passed and check.name != "time"]
        return "stay" if closed else "promote"


class _Means:
    """Draws each request anew, and keeps successes of what has ended."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.begin(0)

    def begin(self, stage: int) -> None:
        """See Gate."""
        self._percent = STAGES[stage].percent
        self._late: dict[int, list[tuple[bool, bool]]] = defaultdict(list)
        self._number = 0
        self.ended, self.succeeded = [0, 0], [0, 0]

    def take(self, request: Request) -> Assigned:
        """See Gate."""
        ours = self._chance.random() * 100 < self._percent
        delay, success = (
            (request.delay, request.multi_agent) if ours else (request.legacy_delay, request.legacy)
        )
        self._late[self._number + delay].append((ours, success))
        for arm, ended_well in self._late.pop(self._number, ()):
            self.ended[arm] += 1
            self.succeeded[arm] += ended_well
        self._number += 1
        return "multi_agent" if ours else "legacy"

    def difference(self) -> tuple[float, float, float]:
        """(multi-agent's success, its lead over legacy, standard error of that)."""
        legacy, ours = (self.succeeded[arm] / max(self.ended[arm], 1) for arm in (0, 1))
        spread = [
            (found * (1 - found) or 0.01) / max(self.ended[arm], 1)
            for arm, found in enumerate((legacy, ours))
        ]
        return ours, ours - legacy, math.sqrt(sum(spread))


class LooksAtTheMean(_Means):
    """`random()`, and go on once 30 outcomes look good enough."""

    def look(self) -> Word:
        """See Gate."""
        if self.ended[1] < 30 or (self._percent < 100 and self.ended[0] < 30):
            return "stay"
        ours, lead, _ = self.difference()
        if ours < 0.70:
            return "rollback"
        return "promote" if self._percent == 100 or lead >= -MARGIN else "stay"


class FixedTest(_Means):
    """A test of one side at 5 %: after HORIZON requests, or at every look."""

    def __init__(self, seed: int, *, every_look: bool = False) -> None:
        self._every_look = every_look
        super().__init__(seed)

    def look(self) -> Word:
        """See Gate."""
        if self._percent == 100:
            return "promote"
        at_its_end = self._number >= HORIZON
        if not at_its_end and not (self._every_look and self.ended[1] >= 30):
            return "stay"
        _, lead, error = self.difference()
        if lead + MARGIN >= 1.645 * error:
            return "promote"
        return "rollback" if at_its_end or lead + MARGIN <= -1.645 * error else "stay"


@dataclass(frozen=True, slots=True)
class Course:
    """How one rollout went."""

    falsely_promoted: bool
    """It went on at least once while multi-agent was worse by the margin."""
    first_stage: int | None
    """Requests until the first stage was passed."""
    completed: bool
    rolled_back: int | None
    """Requests until it was rolled back."""
    justly: bool
    """Multi-agent was worse by the margin when it was rolled back."""
    exposed: int
    """Requests that multi-agent answered."""


def course(world: World, gate: Gate, seed: int, most: int = MOST_REQUESTS) -> Course:
    """Play one rollout to its end, or to `most` requests."""
    stage, exposed, first, false = 0, 0, None, False
    for number, request in enumerate(world.requests(seed), 1):
        exposed += gate.take(request) == "multi_agent"
        word: Word = gate.look() if number % LOOK == 0 else "stay"
        if word == "rollback":
            return Course(false, first, False, number, request.worse, exposed)
        if word == "promote":
            false = false or request.worse
            first = first or number
            stage += 1
            if stage == len(STAGES):
                return Course(false, first, True, None, False, exposed)
            gate.begin(stage)
        if number >= most:
            break
    return Course(false, first, False, None, False, exposed)


def with_shadow(percent: int) -> RolloutPlan:
    """The plan with this share of keys in the shadow of its first stage."""
    first = PLAN.stages[0].model_copy(update={"shadow": percent})
    return PLAN.model_copy(update={"stages": (first, *PLAN.stages[1:])})


def gates(seed: int) -> Iterable[tuple[str, Gate]]:
    """All gates, for one rollout."""
    yield "ours", OurGate(seed)
    yield "ours without a shadow", OurGate(seed, with_shadow(0))
    yield "look at the mean", LooksAtTheMean(seed)
    yield f"test after {HORIZON:,}", FixedTest(seed)
    yield "that test at every look", FixedTest(seed, every_look=True)
