"""The test load: random plans, and the files that each must produce."""

from __future__ import annotations

import random
from pathlib import Path

from agents.sdk.task import DEFAULT_SYSTEM
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.ports.model import ModelMessage, ModelRequest, ModelResponse
from multi_agent.chaos.agents import OBSTINATE, QUESTIONS, ROLE, Orders, content
from multi_agent.models.recordings.recording import Recording, exchange_of

MAX_TASKS = 7
BACKLOG_TASKS = 150
CANCELLED = "cancelled-"
"""How the id of a plan begins that is cancelled."""


def random_plan(name: str, chance: random.Random, *, sandbox: float) -> TodoList:
    """Make a small random graph of tasks. Some ask the model, some fail at first, some need an approval.

    sandbox: the share of tasks that use the sandbox, 0 to 1.
    """
    names = [f"t{number}" for number in range(chance.randint(1, MAX_TASKS))]
    items = []
    for position, task_id in enumerate(names):
        needs = tuple(chance.sample(names[:position], k=min(position, chance.randint(0, 2))))
        items.append(_item(task_id, needs, _orders(chance, sandbox), approval=chance.random() < 0.03))
    return TodoList(todo_list_id=name, request="test load", items=tuple(items))


def poison_plan(name: str) -> TodoList:
    """Make a plan with a task that kills its worker, one that depends on it, and an independent one."""
    return TodoList(
        todo_list_id=name,
        request="test load with poison",
        items=(
            _item("poison", (), Orders(poison=True)),
            _item("after", ("poison",), Orders()),
            _item("innocent", (), Orders(milliseconds=50)),
        ),
    )


def backlog_plan(name: str) -> TodoList:
    """Make a plan of many tasks that ask the model and can all be dispatched at once, to be cancelled."""
    items = [
        _item(f"t{number}", (), Orders(milliseconds=300, ask=number % len(QUESTIONS)))
        for number in range(BACKLOG_TASKS)
    ]
    return TodoList(todo_list_id=name, request="test load to be cancelled", items=tuple(items))


def stuck_plan(name: str, orders: Orders) -> TodoList:
    """Make a plan with a task that does not end by itself at first, a dependent one, and a neighbour."""
    return TodoList(
        todo_list_id=name,
        request="test load with agents that do not end",
        items=(
            _item("stuck", (), orders, role=OBSTINATE, seconds=2),
            _item("after", ("stuck",), Orders()),
            _item("beside", (), Orders(milliseconds=2_500), role=OBSTINATE),
        ),
    )


def expected_files(plan: TodoList) -> dict[str, bytes]:
    """Return path -> content of the merged outcome. Plans must list a task after its dependencies."""
    made: dict[str, bytes] = {}
    for item in plan.items:
        made[item.task_id] = content(item.task_id, (made[name] for name in item.dependencies))
    return {f"{name}.txt": text for name, text in made.items()}


def write_answers(folder: Path) -> None:
    """Write a recording that answers every question of the load."""
    folder.mkdir(parents=True, exist_ok=True)
    exchanges = []
    for question in QUESTIONS:
        request = ModelRequest(f"{ROLE}.ask", DEFAULT_SYSTEM, (ModelMessage("user", question),))
        exchanges.append(exchange_of(request, ModelResponse(f"the answer to: {question}", "none")))
    recording = Recording(
        title="test load",
        recorded_by="multi-agent chaos",
        recorded_at="2026-01-01T00:00:00Z",
        model="none",
        exchanges=tuple(exchanges),
    )
    (folder / "answers.json").write_text(recording.model_dump_json(), "utf-8")


def _orders(chance: random.Random, sandbox: float) -> Orders:
    kind = chance.random()
    milliseconds = chance.choice((0, 5, 20, 60))
    if kind < 0.25:
        return Orders(milliseconds=milliseconds, ask=chance.randrange(len(QUESTIONS)))
    if kind < 0.3:
        return Orders(fails=1)
    if kind < 0.37:
        # Long enough for a stopped worker to continue while another one repeats its task.
        return Orders(milliseconds=1_500)
    return Orders(milliseconds=milliseconds, sandbox=chance.random() < sandbox)


def _item(
    task_id: str,
    needs: tuple[str, ...],
    orders: Orders,
    *,
    approval: bool = False,
    role: str = ROLE,
    seconds: int = 60,
) -> TodoItem:
    return TodoItem(
        task_id=task_id,
        title=task_id,
        description=orders.model_dump_json(),
        agent_role=role,
        dependencies=needs,
        output_artifacts=(f"{task_id}.txt",),
        requires_approval=approval,
        timeout_seconds=seconds,
        max_retries=5 if seconds > 10 else 20,
    )
