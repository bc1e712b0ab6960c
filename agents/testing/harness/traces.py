"""Whole tracebacks of a run of pytest, as long as there is room for them."""

from __future__ import annotations

from typing import Any

_TRACE_CHARACTERS = 7_000
_TRACES_CHARACTERS = 300_000


class Traces:
    """What is left of the room."""

    def __init__(self) -> None:
        self._room = _TRACES_CHARACTERS

    def of(self, report: Any) -> str:
        """That of a failure, cut in the middle; "" for what did not fail."""
        if report.outcome != "failed":
            return ""
        text = str(report.longrepr)
        half = min(_TRACE_CHARACTERS, self._room) // 2
        if len(text) > 2 * half:
            left_out = len(text) - 2 * half
            text = f"{text[:half]}\n... {left_out} characters left out ...\n{text[-half:]}" if half else ""
        self._room -= min(len(text), self._room)
        return text
