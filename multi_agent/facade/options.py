"""Settings for a caller's keyword arguments."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from contracts.base.errors import InvalidInput
from multi_agent.settings import Settings, load_settings


def settings_from(options: Mapping[str, Any]) -> Settings:
    """The environment's settings with `options` on top, by name of the field of Settings.

    Raises InvalidInput for a name that is none, NotConfigured for a value that cannot be used.
    """
    unknown = sorted(options.keys() - Settings.model_fields.keys())
    if unknown:
        known = ", ".join(sorted(Settings.model_fields))
        raise InvalidInput(f"there is no option {unknown[0]!r}; there are: {known}")
    set_up_logs()
    return load_settings(options)


def set_up_logs() -> None:
    """Log warnings and errors to stderr, unless the caller has configured structlog.

    A script's standard output is its own.
    """
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
