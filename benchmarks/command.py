"""Measures how long a user waits for the command line, and how long documents and events take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.growth import fill, new_database
from benchmarks.notes import WrongResult
from benchmarks.ours import percentiles, plan_of
from benchmarks.shapes import lanes
from contracts.documents.plan_checks import PlanLimits, parse_plan
from contracts.documents.todo_list import TodoList
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import TaskRequest
from multi_agent.settings import Settings

_COMMAND = (sys.executable, "-P", "-m", "multi_agent.cli")


async def command(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure one call of the command `words` in seconds.

    Job: `words`, `says` (expected in the output), `runs`, `workflows` (open ones in the database).
    """
    env = os.environ | {"MULTI_AGENT_DATA_DIR": str(folder / "data")}
    if job["workflows"]:
        database = await new_database(Settings(data_dir=folder / "data"))
        await fill(database, job["workflows"])
        await database.close()
    took = []
    for _ in range(job["runs"] + 1):
        began = time.monotonic()
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
            [*_COMMAND, *job["words"]], env=env, capture_output=True, check=False, timeout=60
        )
        took.append(time.monotonic() - began)
        if done.returncode or job["says"].encode() not in done.stdout:
            raise WrongResult(done.stdout.decode()[-300:] + done.stderr.decode()[-300:])
    # The first call fills the caches of the file system.
    return percentiles(took[1:])


def _plan_text(tasks: int) -> str:
    [graph] = lanes(tasks)
    return plan_of("plan", graph, 0, payload=200).model_dump_json()


def pydantic_plan(job: dict[str, Any], _folder: Path) -> dict[str, float]:
    """Measure the microseconds to parse a plan and check it. Job: `tasks`, `runs`."""
    text, limits = _plan_text(job["tasks"]), PlanLimits()
    return _timed(lambda: len(parse_plan(text, limits).items), job["tasks"], job["runs"])


def pydantic_schema(job: dict[str, Any], _folder: Path) -> dict[str, float]:
    """Measure the same without the checks beyond the schema, which is what jsonschema does."""
    text = _plan_text(job["tasks"])
    return _timed(lambda: len(TodoList.model_validate_json(text).items), job["tasks"], job["runs"])


def jsonschema_plan(job: dict[str, Any], _folder: Path) -> dict[str, float]:
    """Measure the same schema with jsonschema."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to import

    text = _plan_text(job["tasks"])
    validator = Draft202012Validator(TodoList.model_json_schema())

    def check() -> int:
        document = json.loads(text)
        validator.validate(document)
        return len(document["items"])

    return _timed(check, job["tasks"], job["runs"])


def event(job: dict[str, Any], _folder: Path) -> dict[str, float]:
    """Measure the microseconds to encode and decode a task request with 1 KB of description. Job: `runs`."""
    [graph] = lanes(1)
    [item] = plan_of("plan", graph, 0, payload=1_000).items
    request = TaskRequest(
        dispatch_id="d", reply_to="agent.results.0", attempt=1, created_at=1, request="benchmark", item=item
    )
    whole = TaskEvent[TaskRequest](
        id="e", source="bench", type=EventType.TASK_DISPATCHED, time="2026-01-01T00:00:00Z", data=request
    )
    return _timed(lambda: int(decode(encode(whole)) == whole), 1, job["runs"])


def _timed(work: Callable[[], int], expected: int, runs: int) -> dict[str, float]:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        result = work()
        took.append((time.perf_counter() - began) * 1e6)
        if result != expected:
            raise WrongResult(f"{result} instead of {expected}")
    return percentiles(took)
