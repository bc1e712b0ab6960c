"""Checks of a plan beyond its schema, and reading a plan from text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from contracts.base.errors import InvalidDocument, Problem, UnsafePath
from contracts.base.paths import EVERYWHERE, check_new_path, check_path
from contracts.base.refs import DATA_FOLDER, METADATA_FOLDER, RESULT, UNVERIFIED, is_reserved
from contracts.base.strict_json import shown, to_json, validate
from contracts.base.text import first_invisible
from contracts.documents.path_patterns import matches
from contracts.documents.plan_graph import cycles, order, path_use, unordered
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.documents.untested import untested

_CYCLE_ID = re.compile(r"\.(fix|retest)[0-9]")
_HINTS = 10
_HINT_CANDIDATES = 1_000
_SHOWN_CYCLE = 50


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """How large a plan may be."""

    max_tasks: int = 200
    max_dependencies: int = 100
    """Of one task."""
    protected: tuple[str, ...] = ()
    """Patterns of paths that no task may write."""
    in_parts: bool = False
    """Whether no task may write every file, because the plan is of somebody who was to do it alone."""


def parse_plan(
    raw: bytes | str | Mapping[str, Any],
    limits: PlanLimits | None = None,
    known_roles: Collection[str] | None = None,
) -> TodoList:
    """Read and check a plan. Raises InvalidDocument with all problems, each with its JSON path.

    The checks beyond the schema run only when the schema is satisfied. `known_roles` None accepts any role.
    """
    text = raw if isinstance(raw, bytes | str) else to_json(raw, "todo")
    plan = validate(TodoList, text, "todo")
    if problems := check_plan(plan, limits or PlanLimits(), known_roles):
        raise InvalidDocument("todo", problems)
    return plan


def topological_order(plan: TodoList) -> list[TodoItem]:
    """Sort the tasks: each after all its dependencies, otherwise in plan order.

    The same plan always gives the same order. Raises InvalidDocument for a cycle or an unknown dependency.
    """
    index = _index(plan.items)
    if problems := [*_dependency_problems(plan.items, index), *_cycle_problems(plan.items, index)]:
        raise InvalidDocument("todo", problems)
    return [plan.items[task] for task in order(_dependencies(plan.items, index))]


def check_plan(
    plan: TodoList, limits: PlanLimits, known_roles: Collection[str] | None = None
) -> list[Problem]:
    """Find everything wrong with a plan that fits its schema; [] when it can be run.

    A plan above `limits.max_tasks` is not checked further. Input artifacts need no producer in the plan:
    they may exist in the repository.
    """
    items = plan.items
    if len(items) > limits.max_tasks:
        return [
            Problem("$.items", f"has {len(items):,} tasks, the limit is {limits.max_tasks:,}; plan fewer")
        ]
    index = _index(items)
    problems = [
        *_id_problems(items),
        *_size_problems(items, limits),
        *_dependency_problems(items, index),
        *_role_problems(items, known_roles),
        *_title_problems(items),
        *_path_problems(items),
        *protected_problems(plan, limits.protected),
        *(_undivided_problems(items) if limits.in_parts else ()),
        *_command_problems(items),
        *_cycle_problems(items, index),
    ]
    return problems or list(_writer_problems(items, index))


def untested_problems(plan: TodoList) -> list[Problem]:
    """Find code that no test looks at. Such a plan can be run, but its end proves nothing about the code."""
    items = plan.items
    return [
        Problem(
            f"$.items[{number}]",
            f"{shown(items[number].task_id)} writes code and no tester comes after it; "
            "add a tester that depends on it",
        )
        for number in untested(items)
    ]


def protected_problems(plan: TodoList, protected: Sequence[str]) -> list[Problem]:
    """Find paths that a plan writes although a pattern protects them."""
    return [
        Problem(
            f"$.items[{number}].output_artifacts[{place}]",
            f"path {shown(path)} is protected: the repository's settings name {shown(pattern)}",
        )
        for number, item in enumerate(plan.items)
        for place, path in enumerate(item.output_artifacts)
        for pattern in protected
        if matches(pattern, f"{path}*" if path.endswith("/") else path)
    ]


def _undivided_problems(items: Sequence[TodoItem]) -> Iterator[Problem]:
    for number, item in enumerate(items):
        for place, path in enumerate(item.output_artifacts):
            if path == EVERYWHERE:
                yield Problem(
                    f"$.items[{number}].output_artifacts[{place}]",
                    f"{shown(item.task_id)} may write everything; name the files and folders of its part",
                )


def _index(items: Sequence[TodoItem]) -> dict[str, int]:
    return {item.task_id: number for number, item in enumerate(items)}


def _dependencies(items: Sequence[TodoItem], index: Mapping[str, int]) -> list[tuple[int, ...]]:
    """Positions of each task's dependencies; unknown ones and the task itself are reported elsewhere."""
    return [
        tuple({index[name]: None for name in item.dependencies if name in index and name != item.task_id})
        for item in items
    ]


def _id_problems(items: Sequence[TodoItem]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for number, item in enumerate(items):
        path = f"$.items[{number}].task_id"
        folded = item.task_id.casefold()
        if (twin := seen.get(folded)) == item.task_id:
            yield Problem(path, f"{shown(item.task_id)} is already the id of another task")
        elif twin is not None:
            yield Problem(path, f"{shown(item.task_id)} differs from the id {shown(twin)} only by case")
        seen.setdefault(folded, item.task_id)
        if reason := _reserved(folded):
            yield Problem(path, f"{shown(item.task_id)} {reason}; choose another id")


def _title_problems(items: Sequence[TodoItem]) -> Iterator[Problem]:
    for number, item in enumerate(items):
        if hidden := first_invisible(item.title.replace("\n", " ").replace("\t", " ")):
            yield Problem(f"$.items[{number}].title", f"{hidden} cannot be seen; leave it out of a title")


def _reserved(folded_id: str) -> str | None:
    if folded_id == RESULT:
        return "names the workflow's merged outcome"
    if folded_id == UNVERIFIED:
        return "names what a failed workflow offers"
    if folded_id.endswith(".lock") or ".." in folded_id:
        return "cannot be part of a Git branch name ('..' or '.lock' at the end)"
    if _CYCLE_ID.search(folded_id):
        return "looks like a task that a test-debug cycle adds ('.fix' or '.retest' before a digit)"
    return None


def _size_problems(items: Sequence[TodoItem], limits: PlanLimits) -> Iterator[Problem]:
    for number, item in enumerate(items):
        if (count := len(item.dependencies)) > limits.max_dependencies:
            message = f"has {count:,} dependencies, the limit is {limits.max_dependencies:,}"
            yield Problem(f"$.items[{number}].dependencies", message)


def _dependency_problems(items: Sequence[TodoItem], index: Mapping[str, int]) -> Iterator[Problem]:
    unknown = (name for item in items for name in item.dependencies if name not in index)
    hints = _hints(unknown, index)
    for number, item in enumerate(items):
        seen: set[str] = set()
        for place, name in enumerate(item.dependencies):
            path = f"$.items[{number}].dependencies[{place}]"
            if name == item.task_id:
                yield Problem(path, f"{shown(name)} depends on itself")
            elif name not in index:
                yield Problem(path, f"no task has the id {shown(name)}{hints.get(name, '')}")
            elif name in seen:
                yield Problem(path, f"{shown(name)} is listed twice")
            seen.add(name)


def _role_problems(items: Sequence[TodoItem], known: Collection[str] | None) -> Iterator[Problem]:
    if known is None:
        return
    hints = _hints((item.agent_role for item in items if item.agent_role not in known), known)
    for number, item in enumerate(items):
        if item.agent_role not in known:
            hint = hints.get(item.agent_role, "") or f"; known are {', '.join(sorted(known))}"
            yield Problem(f"$.items[{number}].agent_role", f"no agent serves {shown(item.agent_role)}{hint}")


def _hints(wrong: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Suggest known names for the first few wrong ones; comparing all with all takes quadratic time."""
    if len(known) > _HINT_CANDIDATES:
        return {}
    close = {name: get_close_matches(name, known, n=1) for name in islice(dict.fromkeys(wrong), _HINTS)}
    return {name: f"; did you mean {shown(found[0])}?" for name, found in close.items() if found}


def _path_problems(items: Sequence[TodoItem]) -> Iterator[Problem]:
    for number, item in enumerate(items):
        for field in ("output_artifacts", "input_artifacts"):
            for place, path in enumerate(getattr(item, field)):
                if reason := _path_fault(path, written=field == "output_artifacts"):
                    yield Problem(f"$.items[{number}].{field}[{place}]", reason)


def _path_fault(path: str, *, written: bool) -> str | None:
    if written and path == EVERYWHERE:
        return None
    try:
        (check_new_path if written else check_path)(path.removesuffix("/"))
    except UnsafePath as error:
        return str(error)
    if written and is_reserved(path):
        folder = f"{DATA_FOLDER}/" if DATA_FOLDER in path.casefold() else METADATA_FOLDER
        return f"path {shown(path)}: {folder} is reserved for the system; choose another folder"
    return None


def _command_problems(items: Sequence[TodoItem]) -> Iterator[Problem]:
    for number, item in enumerate(items):
        for place, test in enumerate(item.acceptance_criteria.tests):
            if reason := _command_fault(test.cmd):
                yield Problem(f"$.items[{number}].acceptance_criteria.tests[{place}].cmd", reason)


def _command_fault(command: str) -> str | None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"{shown(command)} is no command line: {error}"
    return None if words and "\0" not in command else f"{shown(command)} is no command line"


def _cycle_problems(items: Sequence[TodoItem], index: Mapping[str, int]) -> Iterator[Problem]:
    dependencies = _dependencies(items, index)
    ordered = order(dependencies)
    for ring in cycles(dependencies, ordered) if len(ordered) < len(items) else []:
        names = [items[task].task_id for task in [*ring, ring[0]]]
        if len(names) > _SHOWN_CYCLE:
            half = _SHOWN_CYCLE // 2
            names[half:-half] = [f"({len(names) - _SHOWN_CYCLE:,} more)"]
        yield Problem(f"$.items[{ring[0]}].dependencies", f"tasks wait for each other: {' -> '.join(names)}")


def _writer_problems(items: Sequence[TodoItem], index: Mapping[str, int]) -> Iterator[Problem]:
    dependencies = _dependencies(items, index)
    ordered = order(dependencies)
    use = path_use([item.output_artifacts for item in items], ordered)
    for file, one, other in use.file_and_folder:
        yield Problem(
            f"$.items[{one}].output_artifacts",
            f"{shown(items[one].task_id)} writes {shown(file)} as a file and {shown(items[other].task_id)} "
            f"writes below it; a folder's path ends with '/'",
        )
    for one, other, path in unordered(dependencies, ordered, use.shared):
        names = f"{shown(items[one].task_id)} and {shown(items[other].task_id)}"
        written = shown(_spelling(items[one], items[other], path))
        yield Problem(
            f"$.items[{max(one, other)}].output_artifacts",
            f"{names} may run at the same time and both write {written}; "
            "let one depend on the other, or separate their paths",
        )


def _spelling(one: TodoItem, other: TodoItem, folded: str) -> str:
    written = (*other.output_artifacts, *one.output_artifacts)
    return next((path for path in written if path.casefold() == folded), folded)
