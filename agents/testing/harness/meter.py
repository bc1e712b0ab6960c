"""Measures the coverage of a test session, in the process that runs it."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any


class Meter:
    """Measures line coverage of files; None when coverage is absent, was turned off or measured nothing."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = [os.path.abspath(path) for path in paths]
        self._coverage: Any = None
        self._tracer: Any = None
        if not paths:
            return
        try:
            import coverage  # noqa: PLC0415  # it may be absent
        except ImportError:
            return
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=self._paths)

    def start(self) -> None:
        if self._coverage is not None:
            self._coverage.start()
            self._tracer = _tracer()

    def percent(self) -> float | None:
        if self._coverage is None:
            return None
        untouched = _tracer() == self._tracer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._coverage.stop()
            counts = [self._count(path) for path in self._paths]
        lines = sum(total for total, _ in counts)
        return round(100 * sum(hit for _, hit in counts) / lines, 2) if lines and untouched else None

    def _count(self, path: str) -> tuple[int, int]:
        try:
            _, statements, _, missing, _ = self._coverage.analysis2(path)
        except Exception:
            # A file that coverage cannot read, for any reason, is not counted.
            return 0, 0
        return len(statements), len(statements) - len(missing)


def _tracer() -> tuple[int, Any]:
    monitoring = getattr(sys, "monitoring", None)
    return id(sys.gettrace()), monitoring and monitoring.get_tool(monitoring.COVERAGE_ID)
