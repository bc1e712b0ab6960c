"""A plugin of pytest: writes what each test came to, and names the running one to the processes it starts.

    python -m pytest -p tests.mutation.recorder --record FILE ...

A line of JSON for each test that begins, and one for each that ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

RUNNING_TEST = "MUTATION_TEST"
"""The variable that names the running test; coverage takes it as the context of a started process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the reports of workers reach the controller
        config.pluginmanager.register(Recorder(config.getoption("--record")))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    os.environ[RUNNING_TEST] = item.nodeid
    try:
        return (yield)
    finally:
        del os.environ[RUNNING_TEST]


class Recorder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds = 0.0
        self._outcomes: dict[str, str] = {}
        self._durations: dict[str, float] = {}

    def _write(self, **values: object) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(test=nodeid, event="began")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        self._durations[name] = self._durations.get(name, 0.0) + report.duration
        worst = self._outcomes.get(name, "passed")
        self._outcomes[name] = report.outcome if worst == "passed" else worst

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write(
            test=nodeid,
            event="ended",
            outcome=self._outcomes.pop(nodeid, "failed"),
            seconds=round(self._durations.pop(nodeid, 0.0), 3),
        )
