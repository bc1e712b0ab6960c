"""Graph algorithms for plans, near-linear in tasks and dependencies and without recursion.

A task is a number, its position in the plan. `dependencies[t]` are the tasks that `t` waits for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from contracts.base.paths import EVERYWHERE

Dependencies = Sequence[Collection[int]]

_BITS = 4_096
"""Sources followed at once, so that 100,000 tasks need at most 50 MB for reachability bits."""


class Writers(NamedTuple):
    """Two tasks that write the same path, `earlier` first in topological order."""

    earlier: int
    later: int
    path: str


class PathUse(NamedTuple):
    """How the output patterns of all tasks overlap."""

    shared: list[Writers]
    file_and_folder: list[tuple[str, int, int]]
    """A path, a task that writes it as a file, and a task that writes below it as a folder."""


def order(dependencies: Dependencies) -> list[int]:
    """Sort tasks topologically, otherwise in plan order; those in or behind a cycle are left out."""
    dependents: list[list[int]] = [[] for _ in dependencies]
    unmet = [len(of_task) for of_task in dependencies]
    for task, of_task in enumerate(dependencies):
        for dependency in of_task:
            dependents[dependency].append(task)
    ready = deque(task for task, count in enumerate(unmet) if not count)
    done = []
    while ready:
        task = ready.popleft()
        done.append(task)
        for dependent in dependents[task]:
            unmet[dependent] -= 1
            if not unmet[dependent]:
                ready.append(dependent)
    return done


def cycles(dependencies: Dependencies, ordered: Sequence[int]) -> list[list[int]]:
    """Find disjoint cycles among the tasks that `order` left out, at least one if it left any out.

    Each starts at its first task in plan order; every task waits for the one that follows it.
    """
    left = set(range(len(dependencies))).difference(ordered)
    waits_for = {task: next(d for d in dependencies[task] if d in left) for task in sorted(left)}
    found = []
    seen: set[int] = set()
    for start in waits_for:
        trail: dict[int, int] = {}
        task = start
        while task not in seen:
            seen.add(task)
            trail[task] = len(trail)
            task = waits_for[task]
        if task in trail:
            ring = list(trail)[trail[task] :]
            first = ring.index(min(ring))
            found.append(ring[first:] + ring[:first])
    return found


def unordered(
    dependencies: Dependencies, ordered: Sequence[int], pairs: Collection[Writers]
) -> Iterator[Writers]:
    """Yield the pairs whose later task does not wait, even indirectly, for the earlier one."""
    position = {task: index for index, task in enumerate(ordered)}
    waiting = [pair for pair in pairs if pair.earlier not in dependencies[pair.later]]
    waiting.sort(key=lambda pair: position[pair.earlier])
    for start in range(0, len(waiting), _BITS):
        batch = waiting[start : start + _BITS]
        sources = dict.fromkeys(pair.earlier for pair in batch)
        bit = {source: 1 << index for index, source in enumerate(sources)}
        last = max(position[pair.later] for pair in batch)
        reach = _reach(dependencies, ordered[position[batch[0].earlier] : last + 1], bit)
        yield from (pair for pair in batch if not reach.get(pair.later, 0) & bit[pair.earlier])


def _reach(dependencies: Dependencies, window: Sequence[int], bit: Mapping[int, int]) -> dict[int, int]:
    reach: dict[int, int] = {}
    for task in window:
        mask = bit.get(task, 0)
        for dependency in dependencies[task]:
            mask |= reach.get(dependency, 0)
        if mask:
            reach[task] = mask
    return reach


def path_use(outputs: Sequence[Collection[str]], ordered: Sequence[int]) -> PathUse:
    """Find the pairs of tasks whose order decides whether two tasks may write one path at the same time.

    Neighbours in topological order suffice of all pairs that share a path, since waiting is transitive.
    Paths that differ only by case count as one, as they do when branches are merged.
    """
    places: dict[str, list[int]] = {}
    for place, task in enumerate(ordered):
        for pattern in dict.fromkeys(pattern.casefold() for pattern in outputs[task]):
            places.setdefault(pattern, []).append(place)
    use = PathUse([], [])
    for pattern, writers in places.items():
        pairs = list(pairwise(writers))
        for folder in _folders(pattern):
            if (file := folder[:-1]) in places:
                use.file_and_folder.append((file, ordered[places[file][0]], ordered[writers[0]]))
            if folder in places and folder != pattern:
                pairs.extend(_around(writers, places[folder]))
        use.shared.extend(Writers(ordered[one], ordered[other], pattern) for one, other in pairs)
    return use


def _folders(pattern: str) -> Iterator[str]:
    """The folders above a pattern, and itself if it is one."""
    yield EVERYWHERE
    if pattern != EVERYWHERE:
        yield from (pattern[: index + 1] for index, char in enumerate(pattern) if char == "/")


def _around(writers: Sequence[int], folder_writers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pair each writer's place with the folder's writers just before and just after it."""
    for place in writers:
        index = bisect_left(folder_writers, place)
        if index < len(folder_writers) and folder_writers[index] == place:
            continue
        if index:
            yield folder_writers[index - 1], place
        if index < len(folder_writers):
            yield place, folder_writers[index]
