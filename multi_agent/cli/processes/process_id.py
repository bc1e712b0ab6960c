"""Ids of processes that users name themselves."""

from __future__ import annotations

import re

from contracts.base.errors import InvalidInput


def check_process_id(option: str, given: str) -> str:
    """Return the id that was given for this option. Raises InvalidInput when it cannot be one."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", given):
        return given
    raise InvalidInput(f"{option} {given!r}: must be 1 to 100 letters, digits, '_' or '-'")
