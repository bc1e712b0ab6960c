"""Logs to stderr: one JSON object per line, or readable lines on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TextIO

import structlog

from contracts.base.redaction import Redactor
from contracts.base.text import visible


class _Sink(Protocol):
    def write(self, text: str, /) -> Any: ...


class LossyStream:
    """A stream for logs that drops lines it cannot write: a full disk or a closed pipe stops no work (I1).

    Known secrets are removed here, where everything passes that is logged, by whatever library.
    """

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._redact = redact
        self._stream: _Sink = stream
        self._lost = 0
        # Unbuffered: a buffer would keep what cannot be written, and fail again on every later line.
        with suppress(OSError):
            self._stream = _UnbufferedWriter(stream.fileno())

    def write(self, text: str) -> int:
        """Write a line, or count it as lost. The next line that can be written reports the count."""
        lost, self._lost = self._lost, 0
        note = f'{{"event": "log_lines_lost", "level": "warning", "lines": {lost}}}\n' if lost else ""
        try:
            self._stream.write(note + self._redact(text))
        except OSError:
            self._lost = lost + text.count("\n")
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""


class _UnbufferedWriter:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> None:
        os.write(self._fd, text.encode("utf-8", "replace"))


def set_up_logs(
    level: str, redact: Redactor, *, process: str, readable: bool | None = None, cache: bool = False
) -> None:
    """Set up logging for this process.

    level: the lowest level to log, such as "info".
    redact: removes the secrets that this process knows.
    process: the name of this process, added to every line.
    readable: whether to write readable lines instead of JSON; by default, whether stderr is a terminal.
    cache: whether to make loggers once. This is faster, but logging cannot be set up again afterwards.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty() if readable is None else readable
    # Both libraries ask for a TextIO, and use only what this has.
    stream: Any = LossyStream(sys.stderr, redact)
    structlog.configure(
        processors=[
            *_FACTS,
            *(readable_lines(colors=True) if pretty else (structlog.processors.JSONRenderer(),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=cache,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_VisibleFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


_FACTS: Final[Sequence[structlog.types.Processor]] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def readable_lines(*, colors: bool) -> list[structlog.types.Processor]:
    """What turns an event into a line for people."""
    return [_show_values, structlog.dev.ConsoleRenderer(colors=colors)]


def set_up_script_logs(redact: Redactor) -> None:
    """Log warnings and errors to stderr, unless the script that uses us has configured structlog."""
    if structlog.is_configured():
        return
    stream: Any = LossyStream(sys.stderr, redact)
    structlog.configure(
        processors=[*_FACTS, *readable_lines(colors=sys.stderr.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def _show_values(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Make what is logged safe for a terminal; JSON has escapes of its own."""
    return {visible(name): _shown_value(value) for name, value in event.items()}


def _shown_value(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    return visible(value if isinstance(value, str) else repr(value))
