"""Random workflows under random histories: tasks end, in order, with one accepted outcome (I1, I2, I6)."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.paths import EVERYWHERE
from contracts.documents.todo_list import TodoList
from contracts.messages.payloads import Contested, PlanWanted
from orchestrator.core.approvals.actions import action_hash
from orchestrator.core.events import Approve, Dispatch, Finished, Lost, Merged, Overdue, Retry, WorkflowEvent
from orchestrator.core.state import TaskStatus, Workflow, WorkflowStatus
from tests.orchestrator.plans import Play, commit_of, failed, item, outcome, plan, red_tests

STEPS = 6_000
MOST_TASKS = 500
WANTED = PlanWanted(reason="several parts")


def random_plan(chance: random.Random) -> TodoList:
    names = [f"t{n}" for n in range(chance.randint(1, 12))]
    items = []
    for n, name in enumerate(names):
        needs = chance.sample(names[:n], k=min(n, chance.randint(0, 3)))
        items.append(
            item(
                name,
                *needs,
                role=chance.choice(["coder", "coder", "tester", "reviewer"]),
                max_retries=chance.randint(0, 2),
                max_cycles=chance.randint(0, 2),
                requires_approval=chance.random() < 0.15,
                output_artifacts=(chance.choice([EVERYWHERE, f"{name}.py"]),),
            )
        )
    return plan(*items)


class History:
    """Plays a random history and checks after every step."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.play = Play(random_plan(self.chance))
        if seed % 2:  # in a repository coders contest as well
            header = self.play.workflow.header
            self.play.workflow.header = header._replace(base_commit="b" * 40)
        self.sent: list[tuple[str, str]] = []
        self.accepted: dict[str, int] = {}

    def run(self) -> Workflow:
        workflow = self.play.workflow
        retries = 3
        for _ in range(STEPS):
            if workflow.header.status is WorkflowStatus.MERGING:
                self.play.give(Merged("f" * 40))
            if workflow.header.status.terminal:
                if workflow.header.status is WorkflowStatus.COMPLETED or retries == 0:
                    return workflow
                retries -= 1
                self.play.give(Retry(None, "me"))
            self.step()
            self.check()
        raise AssertionError(f"not over after {STEPS} steps: {self.play.statuses}")

    def step(self) -> None:
        tasks = list(self.play.workflow.tasks.values())
        ready = [task.task_id for task in tasks if task.status is TaskStatus.READY]
        asking = [task for task in tasks if task.status is TaskStatus.APPROVAL]
        if asking and self.chance.random() < 0.5:
            task = self.chance.choice(asking)
            wanted = action_hash(self.play.workflow, task)
            self.play.give(Approve(task.task_id, wanted, "me"))
        elif ready and self.chance.random() < 0.6:
            name = self.chance.choice(ready)
            dispatch_id = f"d{len(self.sent)}"
            self.play.give(Dispatch(name, dispatch_id))
            self.sent.append((name, dispatch_id))
        elif self.sent:
            current = [
                (t.task_id, t.dispatch_id)
                for t in tasks
                if t.status is TaskStatus.DISPATCHED and t.dispatch_id
            ]
            old = self.sent[-6:] if self.chance.random() < 0.5 or not current else []
            self.deliver(*self.chance.choice(old or current))

    def deliver(self, name: str, dispatch_id: str) -> None:
        """Something that may be old, repeated or out of order."""
        event: list[WorkflowEvent] = [
            Finished(name, outcome(dispatch_id, commit=commit_of(name))),
            Finished(name, outcome(dispatch_id, commit=commit_of(name))),
            Finished(name, failed(dispatch_id)),
            Finished(name, red_tests(dispatch_id)),
            Finished(name, outcome(dispatch_id, commit=commit_of(name), plan_wanted=WANTED)),
            Finished(name, outcome(dispatch_id, commit=commit_of(name), contested=self.contested())),
            Finished(name, outcome(dispatch_id, commit=commit_of(name), plan=random_plan(self.chance))),
            Lost(name, dispatch_id, "w"),
            Overdue(name, dispatch_id),
        ]
        choice = self.chance.choice(event)
        if self.play.give(choice).refused is None:
            self.accepted[dispatch_id] = self.accepted.get(dispatch_id, 0) + 1

    def contested(self) -> Contested:
        tests = (f"tests/test_{self.chance.randint(0, 2)}.py::test_it",)
        return Contested(tests=tests, reason="wrong", of_repository=self.chance.random() < 0.3)

    def check(self) -> None:
        workflow = self.play.workflow
        assert all(count == 1 for count in self.accepted.values()), "two outcomes accepted for one dispatch"
        fresh = Workflow.load(workflow.header, workflow.tasks.values())
        assert fresh.unmet == workflow.unmet, "counters differ from what the tasks say"
        open_tasks = sum(1 for task in workflow.tasks.values() if not task.status.terminal)
        assert workflow.header.open_tasks == open_tasks
        assert len(workflow.tasks) <= MOST_TASKS, "debug cycles are not bounded"
        for task in workflow.tasks.values():
            if task.status in {TaskStatus.READY, TaskStatus.DISPATCHED}:
                needed = [workflow.tasks[name].status for name in task.dependencies]
                assert all(status is TaskStatus.SUCCEEDED for status in needed), "started too early"
        if not workflow.header.status.terminal and workflow.header.status is not WorkflowStatus.MERGING:
            live = {TaskStatus.READY, TaskStatus.DISPATCHED, TaskStatus.APPROVAL}
            assert any(task.status in live for task in workflow.tasks.values()), "nothing goes on"


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_history_ends_and_keeps_the_invariants(seed: int) -> None:
    workflow = History(seed).run()
    assert all(task.status.terminal for task in workflow.tasks.values())
