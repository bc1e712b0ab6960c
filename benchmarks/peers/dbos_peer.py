"""DBOS with its system database in SQLite: tasks are steps of one workflow, or workflows on its queue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig

from benchmarks.notes import WrongResult, check_notes, note, read_notes, use_notes
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start

_QUEUE = "bench"
_POLL_SECONDS = 0.01
"""The polling interval. The default of DBOS is one second."""


@DBOS.step()
def step(name: str) -> str:
    """Run a task as a step."""
    note(name)
    return name


@DBOS.workflow()
def task(name: str) -> str:
    """Run a task as a workflow of its own."""
    note(name)
    return name


@DBOS.workflow()
def run_queued(number: int, graph: Graph) -> None:
    """Run a graph on the queue, rank by rank. A rank starts when the ranks before it have ended."""
    for rank in ranks(graph):
        handles = [DBOS.enqueue_workflow(_QUEUE, task, f"{number}/{name}") for name in rank]
        for handle in handles:
            handle.get_result(polling_interval_sec=_POLL_SECONDS)


@DBOS.workflow()
def run_steps(number: int, graph: Graph) -> None:
    """Run a graph as steps, one after the other. This is fastest for tasks that do not wait."""
    for name in graph:
        step(f"{number}/{name}")


def ranks(graph: Graph) -> list[list[str]]:
    """Group the tasks by the length of the longest path to them."""
    depth: dict[str, int] = {}
    for name, before in graph.items():
        depth[name] = 1 + max((depth[one] for one in before), default=-1)
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, level in depth.items():
        found[level].append(name)
    return found


def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the tasks per second of a shape. Job: `shape`, `size`, `mode` (steps, queue)."""
    graphs = SHAPES[job["shape"]](job["size"])
    notes = use_notes(folder)
    place = folder / "dbos.sqlite"
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{place}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(_QUEUE, polling_interval_sec=_POLL_SECONDS)
    try:
        run_steps(0, {"warm": ()})
        notes.write_text("")
        began = start()
        _run(run_queued if job["mode"] == "queue" else run_steps, graphs)
        took = time.monotonic() - began
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=0)
    graph = needs(graphs)
    check_notes(read_notes(notes), graph)
    _check_stored(place, job["mode"], len(graph))
    return {"value": len(graph) / took, "seconds": took}


def _run(workflow: Callable[[int, Graph], None], graphs: list[Graph]) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda pair: workflow(*pair), enumerate(graphs)))


def _check_stored(place: Path, mode: str, tasks: int) -> None:
    query = "SELECT count(*) FROM operation_outputs WHERE function_name LIKE '%step%'"
    if mode == "queue":
        query = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS' AND queue_name = 'bench'"
    with sqlite3.connect(place) as connection:
        found = connection.execute(query).fetchone()[0]
    if found < tasks:
        raise WrongResult(f"{found} of {tasks} tasks are stored")
