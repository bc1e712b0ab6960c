"""Settings for a caller's keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.base.errors import InvalidInput
from multi_agent.settings import Settings, load_settings
from multi_agent.telemetry.logs import set_up_script_logs


def settings_from(options: Mapping[str, Any]) -> Settings:
    """The environment's settings with `options` on top, by name of the field of Settings.

    Raises InvalidInput for a name that is none, NotConfigured for a value that cannot be used.
    """
    unknown = sorted(options.keys() - Settings.model_fields.keys())
    if unknown:
        known = ", ".join(sorted(Settings.model_fields))
        raise InvalidInput(f"there is no option {unknown[0]!r}; there are: {known}")
    settings = load_settings(options)
    set_up_script_logs(settings.redactor)
    return settings
