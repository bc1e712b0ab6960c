"""Lists what is measured. A cell is one system in one case, measured by one job of `benchmarks.run_job`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

OURS: Final = "multi-agent"
ONE: Final = f"{OURS}, 1 worker"
LIMIT: Final = "by hand, in batches"
_SLOW: Final = ("celery", "dbos, queue", "prefect")
"""Systems whose round takes minutes."""
_START_SECONDS: Final = 120.0
"""Additional time of a cell for starting and checking the system."""


class Scale(StrEnum):
    """The sizes of the cases. SMOKE measures only this project and the limit, to test the benchmarks."""

    FULL = "full"
    QUICK = "quick"
    SMOKE = "smoke"


@dataclass(frozen=True, slots=True)
class Cell:
    """One system in one case."""

    suite: str
    case: str
    system: str

    job: Mapping[str, Any]
    """What `benchmarks.run_job` is given."""

    unit: str = "tasks/s"
    """The unit of the `value` that the job returns."""

    higher: bool = True
    """Whether a higher value is better."""

    seconds: float = 300.0
    """The most time for one round. A round that takes longer has failed."""

    rounds: int | None = None
    """The most rounds; None for no such limit."""


def _pick(scale: Scale, full: Any, quick: Any, smoke: Any = None) -> Any:
    return {Scale.FULL: full, Scale.QUICK: quick, Scale.SMOKE: quick if smoke is None else smoke}[scale]


def dag(scale: Scale) -> Iterator[Cell]:
    """Measure durable graphs."""
    shapes = {
        "chain": ("chain of {}", _pick(scale, 100, 20, 5)),
        "fan": ("fan-out of {}", _pick(scale, 1_000, 60, 5)),
        "small": ("{} workflows of 10", _pick(scale, 100, 6, 2)),
    }
    for shape, (words, size) in shapes.items():
        if (scale is Scale.SMOKE and shape != "chain") or (scale is Scale.QUICK and shape == "small"):
            continue
        case = words.format(f"{size:,}")
        for system, job in _dag_systems(scale).items():
            seconds = _pick(scale, 240.0, 60.0)
            given = {"shape": shape, "size": size, "seconds": seconds} | job
            few = 1 if system in _SLOW else None
            yield Cell("dag", case, system, given, seconds=seconds + _START_SECONDS, rounds=few)


def _dag_systems(scale: Scale) -> dict[str, dict[str, Any]]:
    ours, limit, peers = "benchmarks.ours:dag", "benchmarks.limit:dag", "benchmarks.peers"
    common = f"{peers}.common:dag"
    found: dict[str, dict[str, Any]] = {
        ONE: {"function": ours, "workers": 1},
        LIMIT: {"function": limit, "mode": "batch"},
    }
    if scale is Scale.SMOKE:
        return found
    found |= {
        f"{OURS}, 2 workers": {"function": ours, "workers": 2},
        f"{OURS}, PostgreSQL, 1 worker": {"function": ours, "database": "postgres"},
        "celery": {"function": common, "peer": "celery_peer"},
        "taskiq": {"function": common, "peer": "taskiq_peer"},
        "dbos, steps": {"function": f"{peers}.dbos_peer:dag", "mode": "steps"},
        "langgraph": {"function": f"{peers}.langgraph_peer:dag"},
    }
    if scale is Scale.FULL:
        found |= {
            f"{OURS}, 4 workers": {"function": ours, "workers": 4},
            f"{OURS}, PostgreSQL, 2 workers": {"function": ours, "database": "postgres", "workers": 2},
            "by hand, step by step": {"function": limit, "mode": "step"},
            f"{LIMIT}, PostgreSQL": {"function": limit, "mode": "batch", "database": "postgres"},
            "dramatiq": {"function": common, "peer": "dramatiq_peer"},
            "dbos, queue": {"function": f"{peers}.dbos_peer:dag", "mode": "queue"},
            "prefect": {"function": f"{peers}.prefect_peer:dag"},
        }
    return found


def latency(scale: Scale) -> Iterator[Cell]:
    """Measure the time from ready to running, on an idle system."""
    count = _pick(scale, 200, 20, 3)
    systems: dict[str, dict[str, Any]] = {
        "raw hop": {"function": "benchmarks.hops:latency"},
        OURS: {"function": "benchmarks.ours:latency"},
    }
    if scale is Scale.SMOKE:
        del systems["raw hop"]
    else:
        names = ("celery", "dramatiq", "taskiq", "arq") if scale is Scale.FULL else ("taskiq",)
        for name in names:
            systems[name] = {"function": "benchmarks.peers.common:latency", "peer": f"{name}_peer"}
    for system, job in systems.items():
        yield Cell("latency", "idle", system, {"count": count} | job, unit="us", higher=False, rounds=3)


def queue(scale: Scale) -> Iterator[Cell]:
    """Measure tasks of 1 KB that go through a queue and one worker."""
    count = _pick(scale, 10_000, 500, 50)
    ours, raw = "benchmarks.our_queue:queue", "benchmarks.hops:queue"
    systems: dict[str, dict[str, Any]] = {
        f"{OURS}, bus": {"function": ours, "worker": "bus"},
        "raw, batches of 100": {"function": raw, "batch": 100},
    }
    if scale is not Scale.SMOKE:
        systems |= {
            f"{OURS}, worker without Git": {"function": ours, "worker": "agents"},
            "raw, one by one": {"function": raw, "batch": 1},
        }
        names = ("celery", "dramatiq", "taskiq", "arq", "huey", "faststream")
        for name in names if scale is Scale.FULL else ("taskiq", "huey", "faststream"):
            systems[name] = {"function": "benchmarks.peers.common:queue", "peer": f"{name}_peer"}
        streams = {"function": "benchmarks.peers.common:queue", "peer": "faststream_streams_peer"}
        systems["faststream, streams"] = streams
    for system, job in systems.items():
        given = {"count": count, "payload": 1_000} | job
        yield Cell("queue", f"{count:,} of 1 KB", system, given, rounds=3)


def growth(scale: Scale) -> Iterator[Cell]:
    """Measure whether more tasks, workflows or rows make each one slower."""
    if scale is Scale.SMOKE:
        return
    limit = _pick(scale, 900.0, 60.0)
    dag_job = {"function": "benchmarks.ours:dag", "workers": 2, "seconds": limit}
    limit += _START_SECONDS
    for size in _pick(scale, (10, 1_000, 10_000, 100_000), (10, 100)):
        job = dag_job | {"shape": "lanes", "size": size}
        few = 1 if size >= 100_000 else 2
        yield Cell("growth", "tasks in one workflow", f"{size:,}", job, seconds=limit, rounds=few)
    for count in _pick(scale, (1, 100, 1_000, 10_000), (1, 10)):
        job = dag_job | {"shape": "small", "size": count}
        few = 1 if count >= 10_000 else 2
        yield Cell("growth", "workflows of 10 at once", f"{count:,}", job, seconds=limit, rounds=few)
    for rows in _pick(scale, (0, 1_000_000), (0, 10_000)):
        job = {"function": "benchmarks.growth:full_store", "rows": rows, "batches": _pick(scale, 40, 4)}
        yield Cell("growth", "journal rows in the store", f"{rows:,}", job, unit="results/s", rounds=2)
    for count in _pick(scale, (100, 10_000), (100,)):
        job = {"function": "benchmarks.growth:start_up", "workflows": count}
        case = "start of an orchestrator, open workflows"
        yield Cell("growth", case, f"{count:,}", job, unit="s", higher=False, rounds=2)


def git(scale: Scale) -> Iterator[Cell]:
    """Measure the artifact store."""
    for refs in _pick(scale, (0, 5_000, 50_000), (0, 500), (0,)):
        job = {"refs": refs, "results": _pick(scale, 1_000, 100, 20), "batch": _pick(scale, 100, 50, 10)}
        case = f"{refs:,} refs before"
        for system, name in {OURS: "ours", "git fast-import": "fast_import"}.items():
            given = job | {"function": f"benchmarks.gitstore:{name}"}
            yield Cell("git", case, system, given, unit="results/s", seconds=300, rounds=3)


def shapes(scale: Scale) -> Iterator[Cell]:
    """Measure graphs with the shapes of real workflows."""
    if scale is Scale.SMOKE:
        return
    size = _pick(scale, 1_000, 40)
    for shape in ("montage", "epigenomics"):
        for payload in _pick(scale, (1_000, 100_000), (1_000,)):
            for workers in _pick(scale, (1, 2, 4), (2,)):
                job = {"function": "benchmarks.ours:dag", "shape": shape, "size": size, "seconds": 240.0}
                system = f"{OURS}, {workers} worker{'s' if workers > 1 else ''}"
                given = job | {"workers": workers, "payload": payload}
                case = f"{shape}, {payload // 1_000} KB a task"
                yield Cell("shapes", case, system, given, seconds=360, rounds=1)


def workers(scale: Scale) -> Iterator[Cell]:
    """Measure what more workers gain when each task takes time."""
    size = _pick(scale, 1_000, 60, 5)
    for count in (1, 2, 4) if scale is not Scale.SMOKE else (1,):
        job = {"function": "benchmarks.ours:dag", "shape": "fan", "size": size, "wait": 0.05}
        system = f"{OURS}, {count} worker{'s' if count > 1 else ''}"
        yield Cell("workers", f"fan-out of {size:,}, 50 ms each", system, job | {"workers": count})


def command(scale: Scale) -> Iterator[Cell]:
    """Measure the command line, documents and events."""
    runs, many = _pick(scale, 20, 3, 1), _pick(scale, 10_000, 100)
    module = "benchmarks.command"
    call = {"function": f"{module}:command", "runs": runs}
    help_job = call | {"words": ["--help"], "says": "Usage", "workflows": 0}
    status_job = call | {"words": ["status"], "says": "open-", "workflows": many}
    if scale is not Scale.SMOKE:
        yield Cell("command", "multi-agent --help", OURS, help_job, unit="s", higher=False)
        status = f"multi-agent status, {many:,} workflows"
        yield Cell("command", status, OURS, status_job, unit="s", higher=False)
    readers = {
        "pydantic": "pydantic_schema",
        "jsonschema": "jsonschema_plan",
        "pydantic, with the checks beyond": "pydantic_plan",
    }
    for system, name in readers.items() if scale is not Scale.SMOKE else ():
        job = {"function": f"{module}:{name}", "tasks": 100, "runs": 10 * runs}
        yield Cell("command", "a plan of 100 tasks, read and checked", system, job, unit="us", higher=False)
    event_job = {"function": f"{module}:event", "runs": 100 * runs}
    yield Cell("command", "an event of 1 KB, encoded and decoded", OURS, event_job, unit="us", higher=False)


SUITES: Final = {
    "dag": dag,
    "latency": latency,
    "queue": queue,
    "growth": growth,
    "git": git,
    "shapes": shapes,
    "workers": workers,
    "command": command,
}
