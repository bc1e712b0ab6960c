"""Plans of any shape: order, cycles and writers against the obvious slow answer; plans of 30,000 tasks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.paths import covers
from contracts.documents.plan_checks import PlanLimits, check_plan, parse_plan, topological_order
from contracts.documents.plan_graph import Writers, cycles, order, unordered
from contracts.documents.todo_list import AcceptanceCriteria, TodoItem, TodoList
from tests.contracts.plans import item, plan

HUGE = 30_000
PATHS = ["a.py", "b.py", "src/", "src/a.py", "src/b.py", "src/x/", "src/x/a.py"]

Edges = list[list[int]]


@st.composite
def dags(draw: st.DrawFn) -> Edges:
    """Whom each task waits for: always earlier ones, then shuffled."""
    size = draw(st.integers(1, 12))
    edges = [draw(st.lists(st.sampled_from(range(n)), unique=True)) if n else [] for n in range(size)]
    name = draw(st.permutations(range(size)))
    shuffled: Edges = [[] for _ in range(size)]
    for task, dependencies in enumerate(edges):
        shuffled[name[task]] = [name[dependency] for dependency in dependencies]
    return shuffled


def todo(edges: Edges, outputs: Sequence[Sequence[str]] | None = None) -> TodoList:
    return plan(
        *(
            item(
                f"t{task}",
                *(f"t{d}" for d in dependencies),
                output_artifacts=outputs[task] if outputs else [],
            )
            for task, dependencies in enumerate(edges)
        )
    )


def ancestors(edges: Edges) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in edges]
    for _ in edges:
        for task, dependencies in enumerate(edges):
            found[task].update(dependencies, *(found[d] for d in dependencies))
    return found


@settings(deadline=None)
@given(dags())
def test_dags_round_trip_and_are_ordered(edges: Edges) -> None:
    made = todo(edges)
    assert parse_plan(made.model_dump_json(), PlanLimits(), {"coder"}) == made
    ordered = [entry.task_id for entry in topological_order(made)]
    assert sorted(ordered) == sorted(entry.task_id for entry in made.items)
    for entry in made.items:
        for dependency in entry.dependencies:
            assert ordered.index(dependency) < ordered.index(entry.task_id)


@settings(deadline=None)
@given(dags(), st.data())
def test_a_closed_ring_is_always_found_and_is_real(edges: Edges, data: st.DataObject) -> None:
    ring = data.draw(st.lists(st.sampled_from(range(len(edges))), unique=True, min_size=1))
    for one, other in zip(ring, [*ring[1:], ring[0]], strict=True):
        if other not in edges[one]:
            edges[one].append(other)
    problems = check_plan(todo(edges), PlanLimits())
    if len(ring) == 1:
        assert any("depends on itself" in problem.message for problem in problems)
        return
    shown = [p.message.removeprefix("tasks wait for each other: ") for p in problems if "->" in p.message]
    assert shown
    for line in shown:
        names = [int(name[1:]) for name in line.split(" -> ")]
        assert names[0] == names[-1]
        assert all(other in edges[one] for one, other in pairwise(names))


@given(dags(), st.data())
@settings(max_examples=100, deadline=None)
def test_unordered_writers_are_found_as_by_comparing_all(edges: Edges, data: st.DataObject) -> None:
    outputs = [data.draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=3)) for _ in edges]
    before = ancestors(edges)
    clashing = {
        frozenset({one, other})
        for one, other in combinations(range(len(edges)), 2)
        if one not in before[other] and other not in before[one]
        if any(covers(a, b) or covers(b, a) for a in outputs[one] for b in outputs[other])
    }
    problems = check_plan(todo(edges, outputs), PlanLimits())
    assert bool(problems) == bool(clashing)
    for problem in problems:
        one, other = (int(part.split("'")[0]) for part in problem.message.split("'t")[1:3])
        assert frozenset({one, other}) in clashing


@settings(deadline=None)
@given(dags())
def test_reachability_agrees_with_the_slow_answer(edges: Edges) -> None:
    ordered = order(edges)
    pairs = [Writers(one, other, "x") for place, one in enumerate(ordered) for other in ordered[place + 1 :]]
    before = ancestors(edges)
    assert set(unordered(edges, ordered, pairs)) == {p for p in pairs if p.earlier not in before[p.later]}


def _huge(dependencies: Sequence[tuple[int, ...]], outputs: Sequence[str]) -> TodoList:
    """A plan that skips validation, which is not what is measured here."""
    nothing = AcceptanceCriteria()
    items = tuple(
        TodoItem.model_construct(
            task_id=f"t{task}",
            title="t",
            agent_role="coder",
            dependencies=tuple(f"t{d}" for d in waits_for),
            input_artifacts=(),
            output_artifacts=(outputs[task],),
            acceptance_criteria=nothing,
        )
        for task, waits_for in enumerate(dependencies)
    )
    return TodoList.model_construct(todo_list_id="p", request="r", items=items)


CHAIN = [(task - 1,) if task else () for task in range(HUGE)]
FAN = [(0,) if task else () for task in range(HUGE)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("dependencies", "outputs"),
    [
        (CHAIN, [f"f{task % (HUGE // 2)}.py" for task in range(HUGE)]),
        (CHAIN, ["src/" if task % 2 else f"src/f{task}.py" for task in range(HUGE)]),
        (FAN, [f"src/f{task}.py" if task else "src/" for task in range(HUGE)]),
    ],
    ids=["chain-far-apart", "chain-folder-and-files", "fan-out"],
)
def test_very_many_tasks(dependencies: Sequence[tuple[int, ...]], outputs: Sequence[str]) -> None:
    """Quadratic work would take far longer than the minute it has, recursion would end the interpreter."""
    assert check_plan(_huge(dependencies, outputs), PlanLimits(max_tasks=HUGE), {"coder"}) == []


def test_a_ring_of_very_many_tasks_needs_no_stack() -> None:
    found: list[list[list[int]]] = []
    ring = [((task - 1) % HUGE,) for task in range(HUGE)]
    threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: found.append(cycles(ring, order(ring))))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert [len(one) for one in found[0]] == [HUGE]
