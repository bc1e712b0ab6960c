"""Runs rounds. Each injects one kind of fault into a running load.

After that the faults are ended, all workflows must end, and their results are checked.
"""

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
from multi_agent.chaos.checks import (
    FailedCheck,
    WorkflowCheck,
    check_cancelled,
    check_model_calls,
    check_runs,
    check_workflow,
)
from multi_agent.chaos.faults import Fault, inject
from multi_agent.chaos.load import random_plan
from multi_agent.chaos.scratch_system import ScratchSystem
from orchestrator.client.views import WorkflowView
from orchestrator.core.state import TaskStatus

OPEN_WORKFLOWS = 24
_CHECK_SECONDS = 0.1
_ODDS = 0.3
_FEW = 3
_AT_START, _RESTARTS = "orchestrator.after_load", 0.1
_SANDBOX_SHARE, _LARGE_SANDBOX_SHARE = 0.06, 0.4


@dataclass(slots=True)
class FaultResult:
    """The results of one kind of fault over all its rounds."""

    fault: Fault
    injections: int = 0
    points: Counter[str] = field(default_factory=Counter)
    """Failpoint -> how often it struck."""
    rounds: int = 0
    findings: list[tuple[str, FailedCheck]] = field(default_factory=list)
    """(seed of the round, violation)."""

    @property
    def reached(self) -> bool:
        """Whether the fault's goal is met; with failpoints, at each of them."""
        if self.fault.traps:
            return all(self.points[name] >= self.fault.goal for name in self.fault.traps)
        return self.injections >= self.fault.goal


@dataclass(slots=True)
class Figures:
    """Figures over all rounds."""

    workflows: int = 0
    tasks: int = 0
    stale_outcomes_refused: int = 0
    tasks_parked_by_chance: int = 0
    """Dead-lettered tasks that random kills had hit too often; they are retried."""
    longest_seconds_to_rest: float = 0.0
    """The longest time from the last fault of a round until all its workflows had ended."""
    timeline: list[tuple[float, str, int]] = field(default_factory=list)
    """(seconds since the start, name of a fault or "done", injections or tasks)."""


@dataclass(slots=True)
class Runner:
    """Runs rounds in one world."""

    world: ScratchSystem
    artifacts: GitArtifactStore
    say: Callable[[str], None]
    """Called with a line for the user after each round."""
    rest_seconds: float
    """How soon after the last fault of a round all its workflows must have ended."""
    stop: asyncio.Event
    """Once it is set, no more faults are injected."""
    figures: Figures = field(default_factory=Figures)
    started_at: float = field(default_factory=time.monotonic)
    _plans: dict[str, TodoList] = field(default_factory=dict)
    _open: dict[str, TodoList] = field(default_factory=dict)
    _findings: list[FailedCheck] = field(default_factory=list)
    _dispatched: set[str] = field(default_factory=set)
    _targets: list[str] = field(default_factory=list)

    async def round(self, result: FaultResult, seed: str, seconds: float) -> None:
        """Run one round of a fault, with at most `seconds` of injections."""
        chance = random.Random(seed)  # noqa: S311 - chosen to be repeatable
        before = result.injections
        self._findings = []
        self._arm(result, chance)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not result.reached and not self.stop.is_set():
            await self._submit_load(chance)
            await self._inject(result, chance)
            await asyncio.sleep(chance.uniform(*result.fault.pause))
        await self._submit_load(chance)
        await self.world.heal()
        healed = time.monotonic()
        await self._wait_for_rest()
        self.figures.longest_seconds_to_rest = max(
            self.figures.longest_seconds_to_rest, time.monotonic() - healed
        )
        self.world.pop_strikes()
        self._findings += check_model_calls(self.world) + check_cancelled(self.world)
        if not result.fault.forges:
            self._findings += check_runs(self.world, self._dispatched)
        self.world.notes.clear()
        self.world.cancelled.clear()
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
            # A failpoint at the start of an orchestrator needs restarts.
            self.world.kill([chance.choice(self.world.orchestrators)])
        count = await inject(result.fault, self.world, chance)
        struck = self.world.pop_strikes()
        result.points.update(struck)
        count += len(struck)
        result.injections += count
        if count:
            self._add_to_timeline(result.fault.name, count)
        await self._check_open()

    def _add_to_timeline(self, what: str, count: int) -> None:
        self.figures.timeline.append((time.monotonic() - self.started_at, what, count))

    # --- load ----------------------------------------------------------------------------------------

    async def _submit_load(self, chance: random.Random) -> None:
        plans, self.world.wanted_plans = self.world.wanted_plans, []
        while len(self._open) + len(plans) < OPEN_WORKFLOWS:
            name = f"load-{chance.getrandbits(64):016x}"
            plans.append(random_plan(name, chance, sandbox=self._sandbox_share()))
        for plan in plans:
            self._open[plan.todo_list_id] = plan
            # Submitting the same id again is idempotent, whether or not the first call succeeded.
            with suppress(Unavailable):
                await self.world.client.submit(plan, workflow_id=plan.todo_list_id)
                self._plans[plan.todo_list_id] = plan

    def _sandbox_share(self) -> float:
        if self.world.wanted.sandbox == "none":
            return 0.0
        wanted = any("sandbox" in name for name in self._targets)
        return _LARGE_SANDBOX_SHARE if wanted else _SANDBOX_SHARE

    async def _check_open(self) -> None:
        """Approve waiting tasks, retry tasks that died by chance, and check workflows that have ended."""
        for name, plan in list(self._open.items()):
            try:
                if name not in self._plans:
                    await self.world.client.submit(plan, workflow_id=name)
                    self._plans[name] = plan
                view = await self.world.client.workflow(name)
                if view is None:
                    continue
                await self._approve_waiting(view)
                if view.header.status.terminal and not await self._parked_by_chance(view):
                    self._add_result(
                        view, await check_workflow(self.world.client, self.artifacts, view, plan)
                    )
                    del self._open[name]
            except Unavailable:
                return

    async def _approve_waiting(self, view: WorkflowView) -> None:
        for task in view.waiting_for_approval:
            wanted = view.action_hash(task.task_id)
            await self.world.client.approve(view.header.workflow_id, task.task_id, wanted, "chaos")

    async def _parked_by_chance(self, view: WorkflowView) -> bool:
        """Retry a task that three random kills have hit, as a person would. Returns whether there was one."""
        if view.header.todo_list_id.startswith("poison-"):
            return False
        if not any(task.status is TaskStatus.DEAD for task in view.tasks):
            return False
        self.figures.tasks_parked_by_chance += 1
        await self.world.client.retry(view.header.workflow_id, None, "chaos")
        return True

    def _add_result(self, view: WorkflowView, checked: WorkflowCheck) -> None:
        self._findings += checked.findings
        self.figures.workflows += 1
        self.figures.tasks += len(view.tasks)
        self.figures.stale_outcomes_refused += checked.refused
        self._dispatched.update(checked.dispatches)
        self._add_to_timeline("done", len(view.tasks))

    async def _wait_for_rest(self) -> None:
        """Wait until all open workflows have ended; those that do not are violations (I1)."""
        until = time.monotonic() + self.rest_seconds
        while self._open and time.monotonic() < until:
            await self._check_open()
            await asyncio.sleep(_CHECK_SECONDS)
        for name in self._open:
            view = await self.world.client.workflow(name)
            states = {task.task_id: task.status.value for task in view.tasks} if view else "not loaded"
            self._findings.append(
                FailedCheck("I1", f"{name} has not ended after {self.rest_seconds:g} s: {states}")
            )
        self._open.clear()
