"""Settings for a caller's keyword arguments."""

from __future__ import annotations

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
    if not structlog.is_configured():
        # A script's standard output is its own.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    return load_settings(options)
