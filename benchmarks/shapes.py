"""Makes the graphs that are measured.

A graph maps a task to the tasks it needs. Every task comes after those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

Graph: TypeAlias = dict[str, tuple[str, ...]]

JOIN_LIMIT: Final = 1_000
"""The most dependencies of one task that the schema of plans allows."""


def chain(size: int) -> list[Graph]:
    """Make one workflow of `size` tasks, each of which needs the one before."""
    return [{f"t{number}": (f"t{number - 1}",) if number else () for number in range(size)}]


def fan(size: int) -> list[Graph]:
    """Make one workflow: a root, `size` children, a join."""
    children = tuple(f"c{number}" for number in range(size))
    return [{"root": (), **dict.fromkeys(children, ("root",)), "join": children}]


def small(count: int) -> list[Graph]:
    """Make `count` workflows of 10 tasks: a root, two diamonds side by side, a tail of two."""
    one: Graph = {
        "a": (),
        "b1": ("a",),
        "b2": ("a",),
        "c1": ("b1",),
        "c2": ("b1",),
        "d1": ("b2",),
        "d2": ("b2",),
        "e": ("c1", "c2", "d1", "d2"),
        "f": ("e",),
        "g": ("f",),
    }
    return [dict(one) for _ in range(count)]


def lanes(size: int) -> list[Graph]:
    """Make one workflow of `size` tasks in chains of 10 side by side, so that the depth is fixed."""
    graph: Graph = {}
    for number in range(size):
        step = number % 10
        graph[f"l{number // 10}-{step}"] = (f"l{number // 10}-{step - 1}",) if step else ()
    return [graph]


def montage(size: int) -> list[Graph]:
    """Make a wide graph, as mosaics of the sky are made: project, compare neighbours, fit, correct, add up.

    The proportions are those of Montage: for n images about 2n differences and n corrections.
    """
    images = max(2, size // 4)
    graph: Graph = {f"project{n}": () for n in range(images)}
    for n in range(images):
        for step in (1, 2):
            graph[f"diff{n}-{step}"] = tuple(dict.fromkeys((f"project{n}", f"project{(n + step) % images}")))
    diffs = [f"diff{n}-{step}" for n in range(images) for step in (1, 2)]
    graph["concat"] = tuple(diffs[:JOIN_LIMIT])
    graph["model"] = ("concat",)
    for n in range(images):
        graph[f"correct{n}"] = (f"project{n}", "model")
    graph["table"] = tuple(f"correct{n}" for n in range(images))
    graph["add"] = ("table",)
    graph["shrink"] = ("add",)
    return [graph]


def epigenomics(size: int) -> list[Graph]:
    """Make a deep graph, as genomes are mapped: split, four steps on each part, merge, index, pile up."""
    parts = max(1, (size - 4) // 4)
    graph: Graph = {"split": ()}
    for n in range(parts):
        before = "split"
        for step in ("filter", "convert", "binary", "map"):
            graph[f"{step}{n}"] = (before,)
            before = f"{step}{n}"
    graph["merge"] = tuple(f"map{n}" for n in range(parts))
    graph["index"] = ("merge",)
    graph["pileup"] = ("index",)
    return [graph]


SHAPES: Final[dict[str, Callable[[int], list[Graph]]]] = {
    "chain": chain,
    "fan": fan,
    "small": small,
    "lanes": lanes,
    "montage": montage,
    "epigenomics": epigenomics,
}


def needs(graphs: list[Graph]) -> Graph:
    """Return one graph of all tasks of all workflows, named `WORKFLOW/TASK`."""
    return {
        f"{number}/{task}": tuple(f"{number}/{one}" for one in before)
        for number, graph in enumerate(graphs)
        for task, before in graph.items()
    }
