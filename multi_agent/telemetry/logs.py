"""Logs: one JSON object a line, to stderr; readable lines where a person looks on."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Any, Protocol, TextIO

import structlog


class _Sink(Protocol):
    def write(self, text: str, /) -> Any: ...


class LastingStream:
    """Standard error for logs: a full disk or a closed pipe loses lines, and ends no work (I1)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: _Sink = stream
        self._lost = 0
        # Unbuffered: a buffer would keep what cannot be written, and fail again with every later line.
        with suppress(OSError):
            self._stream = _Raw(stream.fileno())

    def write(self, text: str) -> int:
        """Write a line, or count it as lost; the next that can be written says how many were."""
        lost, self._lost = self._lost, 0
        note = f'{{"event": "log_lines_lost", "level": "warning", "lines": {lost}}}\n' if lost else ""
        try:
            self._stream.write(note + text)
        except OSError:
            self._lost = lost + text.count("\n")
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""


class _Raw:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> None:
        os.write(self._fd, text.encode("utf-8", "replace"))


def set_up_logs(level: str, *, process: str, readable: bool | None = None, cache: bool = False) -> None:
    """Set up logging for this process. `readable` defaults to whether stderr is a terminal.

    cache: loggers are made once, which is quicker; nobody can set up logging again then.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty() if readable is None else readable
    # Both libraries ask for a TextIO, and use only what this has.
    stream: Any = LastingStream(sys.stderr)
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=pretty) if pretty else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=cache,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(levelname)s %(name)s %(message)s")
