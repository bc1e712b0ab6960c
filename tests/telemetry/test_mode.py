"""All is logged for a while when somebody asks, or something crashed; then as before."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from multi_agent.telemetry.mode import (
    CRASH_SECONDS,
    Debugging,
    ModeFilter,
    read_debugging,
    write_debugging,
)

PROGRAM = """
import json, sys, pathlib, structlog
from contracts.base.secrets.redaction import Redactor
from multi_agent.telemetry.logs import set_up_logs
set_up_logs("info", Redactor(), process="p", readable=False, serves=pathlib.Path(sys.argv[1]))
log = structlog.get_logger()
for line in sys.stdin:
    log.debug("detail", number=int(line))
    log.info("said", number=int(line))
"""


class Clock:
    """What the filter takes for the time."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def filtered(folder: Path) -> tuple[Clock, Callable[..., bool]]:
    clock = Clock()
    filter_ = ModeFilter(folder, 20, clock)

    def passes(level: str, event: str = "x", **fields: Any) -> bool:
        try:
            filter_(None, level, {"level": level, "event": event, **fields})
        except structlog.DropEvent:
            return False
        return True

    return clock, passes


def test_debug_holds_for_its_workflow_and_ends_by_itself(tmp_path: Path) -> None:
    clock, passes = filtered(tmp_path)
    assert (passes("info"), passes("debug")) == (True, False)
    write_debugging(tmp_path, Debugging(clock.now + 100, "w-1"))
    clock.now += 0.6
    assert (passes("debug", workflow_id="w-1"), passes("debug", workflow_id="w-2"), passes("debug")) == (
        True,
        False,
        False,
    )
    clock.now += 100
    assert (passes("debug", workflow_id="w-1"), passes("info")) == (False, True)


@pytest.mark.parametrize(("about", "other"), [({}, True), ({"workflow_id": "w-1"}, False)])
def test_a_crash_turns_it_on_for_what_was_involved(
    tmp_path: Path, about: dict[str, str], other: bool
) -> None:
    clock, passes = filtered(tmp_path)
    assert passes("error", "agent_crashed", **about)
    assert passes("debug", workflow_id="w-1")
    assert passes("debug", workflow_id="w-2") is other
    clock.now += CRASH_SECONDS
    assert not passes("debug", workflow_id="w-1")


def test_a_crash_shortens_nothing_and_two_crashes_are_both_seen(tmp_path: Path) -> None:
    clock, passes = filtered(tmp_path)
    write_debugging(tmp_path, asked := Debugging(clock.now + 9_000, None, "asked for"))
    passes("error", "process_died")
    assert read_debugging(tmp_path) == asked
    write_debugging(tmp_path, None)
    passes("error", "agent_crashed", workflow_id="w-1")
    passes("error", "agent_crashed", workflow_id="w-2")
    clock.now += 0.6
    assert passes("debug", workflow_id="w-1")
    assert passes("debug", workflow_id="w-2")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"until": "x"}', '{"other": 1}'])
def test_a_file_that_cannot_be_read_switches_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "observe.json").write_text(text)
    _, passes = filtered(tmp_path)
    assert (passes("info"), passes("debug")) == (True, False)


def test_a_process_that_runs_is_switched_there_and_back(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        number = 0

        def logged() -> str:
            nonlocal number
            number += 1
            process.stdin.write(f"{number}\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return str(json.loads(process.stderr.readline())["event"])  # type: ignore[union-attr]

        assert logged() == "said"
        write_debugging(tmp_path, Debugging(time.time() + 60))
        deadline = time.monotonic() + 20
        while logged() != "detail":
            assert time.monotonic() < deadline
        process.stdin.close()
