"""Rounds: one fault each, against a running load; then everything is healed, must end, and is checked."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from artifacts import GitArtifactStore
from contracts.base.errors import Unavailable
from contracts.base.failpoints import Trap
from contracts.documents.todo_list import TodoList
from multi_agent.chaos.checks import Checked, FailedCheck, check_model_calls, check_runs, check_workflow
from multi_agent.chaos.faults import Fault, inject
from multi_agent.chaos.load import random_plan
from multi_agent.chaos.world import World
from orchestrator.client.views import WorkflowView
from orchestrator.core.state import TaskStatus

OPEN_WORKFLOWS = 24
_LOOK_SECONDS = 0.1
_ODDS = 0.3
_FEW = 3
_AT_START, _RESTARTS = "orchestrator.after_load", 0.1
_SANDBOX_SHARE, _LARGE_SANDBOX_SHARE = 0.06, 0.4


@dataclass(slots=True)
class FaultResult:
    """What became of one kind of fault over all its rounds."""

    fault: Fault
    injections: int = 0
    points: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    findings: list[tuple[str, FailedCheck]] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """Whether the certificate's goal is met; at every failpoint, for those."""
        if self.fault.traps:
            return all(self.points[name] >= self.fault.goal for name in self.fault.traps)
        return self.injections >= self.fault.goal


@dataclass(slots=True)
class Figures:
    """Sums over all rounds; a round is at rest when all it started has ended, counted from its last fault."""

    workflows: int = 0
    tasks: int = 0
    stale_outcomes_refused: int = 0
    tasks_parked_by_chance: int = 0
    longest_seconds_to_rest: float = 0.0
    timeline: list[tuple[float, str, int]] = field(default_factory=list)


@dataclass(slots=True)
class Runner:
    """Runs rounds in one world. `say` hears a line a round, which must be at rest after `rest_seconds`.

    Once `stop` is set no more faults are injected.
    """

    world: World
    artifacts: GitArtifactStore
    say: Callable[[str], None]
    rest_seconds: float
    stop: asyncio.Event
    figures: Figures = field(default_factory=Figures)
    started_at: float = field(default_factory=time.monotonic)
    _plans: dict[str, TodoList] = field(default_factory=dict)
    _open: dict[str, TodoList] = field(default_factory=dict)
    _findings: list[FailedCheck] = field(default_factory=list)
    _dispatched: set[str] = field(default_factory=set)
    _targets: list[str] = field(default_factory=list)

    async def round(self, result: FaultResult, seed: str, seconds: float) -> None:
        """One round of a fault, for at most so many seconds of injections."""
        chance = random.Random(seed)  # noqa: S311 - chosen to be repeatable
        before = result.injections
        self._findings = []
        self._arm(result, chance)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not result.reached and not self.stop.is_set():
            await self._top_up(chance)
            await self._inject(result, chance)
            await asyncio.sleep(chance.uniform(*result.fault.pause))
        await self._top_up(chance)
        await self.world.heal()
        healed = time.monotonic()
        await self._end()
        self.figures.longest_seconds_to_rest = max(
            self.figures.longest_seconds_to_rest, time.monotonic() - healed
        )
        self.world.strikes()
        self._findings += check_model_calls(self.world)
        if not result.fault.forges:
            self._findings += check_runs(self.world, self._dispatched)
        self.world.notes.clear()
        result.rounds += 1
        result.findings += [(seed, finding) for finding in self._findings]
        count, bad = result.injections - before, len(self._findings)
        self.say(
            f"{seed}: {count} injections, {bad} violations, at rest after {time.monotonic() - healed:.1f} s"
        )

    def _arm(self, result: FaultResult, chance: random.Random) -> None:
        fault = result.fault
        self._targets = []
        if fault.action is None:
            return
        behind = [name for name in fault.traps if result.points[name] < fault.goal]
        chance.shuffle(behind)
        self._targets = sorted(behind, key=lambda name: result.points[name])[:_FEW]
        self.world.set_traps(
            [Trap(name, fault.action, _ODDS) for name in self._targets], chance.getrandbits(32)
        )

    async def _inject(self, result: FaultResult, chance: random.Random) -> None:
        if _AT_START in self._targets and chance.random() < _RESTARTS:
            # What strikes at a start needs starts.
            self.world.kill([chance.choice(self.world.owners)])
        count = await inject(result.fault, self.world, chance)
        struck = self.world.strikes()
        result.points.update(struck)
        count += len(struck)
        result.injections += count
        if count:
            self._note(result.fault.name, count)
        await self._look()

    def _note(self, what: str, count: int) -> None:
        self.figures.timeline.append((time.monotonic() - self.started_at, what, count))

    # --- load ----------------------------------------------------------------------------------------

    async def _top_up(self, chance: random.Random) -> None:
        plans, self.world.wanted_plans = self.world.wanted_plans, []
        while len(self._open) + len(plans) < OPEN_WORKFLOWS:
            name = f"load-{chance.getrandbits(64):016x}"
            plans.append(random_plan(name, chance, sandbox=self._sandbox_share()))
        for plan in plans:
            self._open[plan.todo_list_id] = plan
            # The same id again is the same workflow, whatever became of the first call.
            with suppress(Unavailable):
                await self.world.client.submit(plan, workflow_id=plan.todo_list_id)
                self._plans[plan.todo_list_id] = plan

    def _sandbox_share(self) -> float:
        if self.world.wanted.sandbox == "none":
            return 0.0
        wanted = any("sandbox" in name for name in self._targets)
        return _LARGE_SANDBOX_SHARE if wanted else _SANDBOX_SHARE

    async def _look(self) -> None:
        """Approve what waits, retry what chance has parked, and check what has ended."""
        for name, plan in list(self._open.items()):
            try:
                if name not in self._plans:
                    await self.world.client.submit(plan, workflow_id=name)
                    self._plans[name] = plan
                view = await self.world.client.workflow(name)
                if view is None:
                    continue
                await self._decide(view)
                if view.header.status.terminal and not await self._parked_by_chance(view):
                    self._take(view, await check_workflow(self.world.client, self.artifacts, view, plan))
                    del self._open[name]
            except Unavailable:
                return

    async def _decide(self, view: WorkflowView) -> None:
        for task in view.waiting_for_approval:
            wanted = view.action_hash(task.task_id)
            await self.world.client.approve(view.header.workflow_id, task.task_id, wanted, "chaos")

    async def _parked_by_chance(self, view: WorkflowView) -> bool:
        """Three random kills may meet one task; a person would try it again."""
        if view.header.todo_list_id.startswith("poison-"):
            return False
        if not any(task.status is TaskStatus.DEAD for task in view.tasks):
            return False
        self.figures.tasks_parked_by_chance += 1
        await self.world.client.retry(view.header.workflow_id, None, "chaos")
        return True

    def _take(self, view: WorkflowView, checked: Checked) -> None:
        self._findings += checked.findings
        self.figures.workflows += 1
        self.figures.tasks += len(view.tasks)
        self.figures.stale_outcomes_refused += checked.refused
        self._dispatched.update(checked.dispatches)
        self._note("done", len(view.tasks))

    async def _end(self) -> None:
        """Everything that is open must end by itself."""
        until = time.monotonic() + self.rest_seconds
        while self._open and time.monotonic() < until:
            await self._look()
            await asyncio.sleep(_LOOK_SECONDS)
        for name in self._open:
            view = await self.world.client.workflow(name)
            states = {task.task_id: task.status.value for task in view.tasks} if view else "not taken up"
            self._findings.append(
                FailedCheck("I1", f"{name} has not ended after {self.rest_seconds:g} s: {states}")
            )
        self._open.clear()
