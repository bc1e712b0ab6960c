"""Logs: one JSON object a line, to stderr; readable lines where a person looks on."""

from __future__ import annotations

import logging
import sys

import structlog


def set_up_logs(level: str, *, process: str, readable: bool | None = None) -> None:
    """Set up logging for this process. `readable` defaults to whether stderr is a terminal."""
    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty() if readable is None else readable
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
