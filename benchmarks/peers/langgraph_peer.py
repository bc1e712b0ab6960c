"""LangGraph in one process with SQLite checkpoints. Each task is a node, each super-step a checkpoint."""

from __future__ import annotations

import operator
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.notes import WrongResult, check_notes, note, read_notes, use_notes
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start


class State(TypedDict):
    """The state of the graph: the tasks that ran."""

    ran: Annotated[list[str], operator.add]


def _node(name: str) -> Callable[[State], dict[str, list[str]]]:
    def run(_state: State) -> dict[str, list[str]]:
        note(name)
        return {"ran": [name]}

    return run


def _built(number: int, graph: Graph, saver: SqliteSaver) -> Any:
    builder = StateGraph(State)
    needed = {one for before in graph.values() for one in before}
    for name, before in graph.items():
        builder.add_node(name, _node(f"{number}/{name}"))
        # An edge from a list of nodes waits for all of them.
        builder.add_edge(list(before) if before else START, name)
        if name not in needed:
            builder.add_edge(name, END)
    return builder.compile(checkpointer=saver)


def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the tasks per second of a shape, without building the graphs. Job: `shape`, `size`."""
    graphs = SHAPES[job["shape"]](job["size"])
    notes = use_notes(folder)
    place = folder / "checkpoints.sqlite"
    with SqliteSaver.from_conn_string(str(place)) as saver:
        saver.setup()
        built = [_built(number, graph, saver) for number, graph in enumerate(graphs)]
        began = start()
        counts = [_invoke(number, one, job["size"]) for number, one in enumerate(built)]
        took = time.monotonic() - began
    graph = needs(graphs)
    check_notes(read_notes(notes), graph)
    with sqlite3.connect(place) as connection:
        stored = connection.execute("SELECT count(DISTINCT thread_id) FROM checkpoints").fetchone()[0]
    if counts != [len(one) for one in graphs] or stored != len(graphs):
        raise WrongResult(f"{sum(counts)} of {len(graph)} tasks are in the states, {stored} threads stored")
    return {"value": len(graph) / took, "seconds": took}


def _invoke(number: int, compiled: Any, size: int) -> int:
    config = {"configurable": {"thread_id": f"w{number}"}, "recursion_limit": 10 * size + 100}
    return len(compiled.invoke({"ran": []}, config)["ran"])
