"""Logs to stderr: one JSON object per line, or readable lines on a terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TextIO

import structlog

from contracts.base.secrets.patterns import without_secret_patterns
from contracts.base.secrets.redaction import Redactor
from contracts.base.text import visible
from multi_agent.telemetry.mode import ModeFilter
from multi_agent.telemetry.tracing.spans import trace_id_of

_LONGEST_PART: Final = 65_536
_KEPT_PART: Final = 8_192
"""Characters of a line that is not whole from which on it is written, and those of it that are kept."""


class _Sink(Protocol):
    def write(self, text: str, /) -> Any: ...


class LossyStream(io.TextIOBase):
    """A stream for logs that drops lines it cannot write: a full disk or a closed pipe stops no work (I1).

    Secrets are removed here, where everything passes that is logged, by whatever library: those that are
    known, and what looks like one. Lines are looked at whole, since one may be written in parts.
    """

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._redact = redact
        self._stream: _Sink = stream
        self._lost = 0
        self._part = ""
        """The line that is not whole yet."""
        self._fd: int | None = None
        # Unbuffered: a buffer would keep what cannot be written, and fail again on every later line.
        with suppress(OSError):
            self._fd = stream.fileno()
            self._stream = _UnbufferedWriter(self._fd)

    def write(self, text: str) -> int:
        """Write the lines that end here, or count them as lost. The next line that can be written says so."""
        held = self._part + text
        end = held.rfind("\n") + 1
        whole, self._part = self._clean(held[:end]), held[end:]
        if len(self._part) > _LONGEST_PART:
            clean = self._clean(self._part)
            whole, self._part = whole + clean[:-_KEPT_PART], clean[-_KEPT_PART:]
        if whole:
            self._send(whole)
        return len(text)

    def flush(self) -> None:
        """Write what is no whole line either."""
        part, self._part = self._part, ""
        if part:
            self._send(self._clean(part))

    def fileno(self) -> int:
        """The file descriptor that is written to. Raises OSError where there is none."""
        if self._fd is None:
            raise OSError("no file descriptor")
        return self._fd

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._fd is not None and os.isatty(self._fd)

    def writable(self) -> bool:
        """Always."""
        return True

    def _clean(self, text: str) -> str:
        return without_secret_patterns(self._redact(text)) if text else ""

    def _send(self, text: str) -> None:
        lost, self._lost = self._lost, 0
        note = f'{{"event": "log_lines_lost", "level": "warning", "lines": {lost}}}\n' if lost else ""
        try:
            self._stream.write(note + text)
        except OSError:
            self._lost = lost + text.count("\n")


class _UnbufferedWriter:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> None:
        os.write(self._fd, text.encode("utf-8", "replace"))


def set_up_logs(
    level: str, redact: Redactor, *, process: str, readable: bool | None = None, serves: Path | None = None
) -> None:
    """Set up logging for this process.

    level: the lowest level to log, such as "info".
    redact: removes the secrets that this process knows.
    process: the name of this process, added to every line.
    readable: whether to write readable lines instead of JSON; by default, whether stderr is a terminal.
    serves: the data folder, of a process that does nothing but serve it. Loggers are then made once, which is
        faster; whatever writes to stderr, as the traceback of its end, passes where secrets are removed; and
        the level can be switched (see multi_agent.telemetry.mode).
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty() if readable is None else readable
    # Both libraries ask for a TextIO, and use only what this has.
    stream: Any = LossyStream(sys.stderr, redact)
    if serves is not None:
        sys.stderr = stream
    structlog.configure(
        processors=[
            *_FACTS[:2],
            *(() if serves is None else (ModeFilter(serves, number),)),
            *_FACTS[2:],
            *(readable_lines(colors=True) if pretty else (structlog.processors.JSONRenderer(),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number if serves is None else logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=serves is not None,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_VisibleFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _with_trace(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Name the trace of the workflow that a line is about."""
    if isinstance(workflow_id := event.get("workflow_id"), str):
        event["trace_id"] = trace_id_of(workflow_id)
    return event


_FACTS: Final[Sequence[structlog.types.Processor]] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    _with_trace,
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
