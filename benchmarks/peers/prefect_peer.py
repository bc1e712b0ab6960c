"""Prefect with its ephemeral server and SQLite. Tasks of a flow run on its thread pool."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.notes import WrongResult, check_notes, note, read_notes, use_notes
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start


def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the tasks per second of a shape, after the server has started. Job: `shape`, `size`."""
    graphs = SHAPES[job["shape"]](job["size"])
    notes = use_notes(folder)
    os.environ |= {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "DO_NOT_TRACK": "1",
    }
    from prefect import flow, task  # noqa: PLC0415 - reads the environment

    @task
    def noop(name: str) -> str:
        note(name)
        return name

    @flow
    def run(number: int, graph: Graph) -> int:
        futures: dict[str, Any] = {}
        for name, before in graph.items():
            futures[name] = noop.submit(f"{number}/{name}", wait_for=[futures[one] for one in before])
        return sum(future.result() is not None for future in futures.values())

    run(0, {"warm": ()})
    notes.write_text("")
    began = start()
    done = sum(run(number, graph) for number, graph in enumerate(graphs))
    took = time.monotonic() - began
    graph = needs(graphs)
    check_notes(read_notes(notes), graph)
    if done != len(graph):
        raise WrongResult(f"{done} of {len(graph)} tasks have results")
    return {"value": len(graph) / took, "seconds": took}
