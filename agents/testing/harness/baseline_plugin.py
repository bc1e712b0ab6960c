"""A plugin of pytest that writes what becomes of each test to a file beside it; it runs in the sandbox.

Of several sessions of pytest one inside the other the outermost writes: tests of pytest itself, and the
processes of pytest-xdist, load the plugin too.
"""

from __future__ import annotations

import json
import os
from typing import Any

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_RESULTS = os.path.join(_FOLDER, "results")
_RUNNING = os.path.join(_FOLDER, "running")
_MAX_ERROR = 600


class BaselineRecorder:
    """Writes one line for each thing that is known."""

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome == "failed":
            _write("not_loaded", report.nodeid, _line(report))

    def pytest_collection_finish(self, session: Any) -> None:
        _write("found", len(session.items), "")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            _write(report.outcome, report.nodeid, _line(report) if report.outcome == "failed" else "")

    def pytest_unconfigure(self) -> None:
        if os.path.exists(_RUNNING):
            os.remove(_RUNNING)


def pytest_configure(config: Any) -> None:
    """Begin to write, unless a session around this one does."""
    if not _is_running():
        with open(_RUNNING, "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))
        config.pluginmanager.register(BaselineRecorder())


def _is_running() -> bool:
    try:
        with open(_RUNNING, encoding="utf-8") as file:
            os.kill(int(file.read()), 0)
    except (OSError, ValueError):
        return False
    return True


def _write(kind: str, what: Any, error: str) -> None:
    with open(_RESULTS, "a", encoding="utf-8", errors="replace") as file:
        file.write(json.dumps([kind, what, error]) + "\n")


def _line(report: Any) -> str:
    """The line that says what is wrong."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message).strip().partition("\n")[0][:_MAX_ERROR]
    lines = [line for line in str(report.longrepr).splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or [line.strip() for line in lines[-1:]] or [""])[-1 if marked else 0][:_MAX_ERROR]
