"""The folder for state, logs and artifacts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from contracts.base.errors import NotConfigured

_PRIVATE: Final = 0o700
_PASSED_THROUGH: Final = 0o711


def make_data_folder(folder: Path) -> Path:
    """Make the data folder when it does not exist, for its owner alone.

    Sandboxes of the superuser run as another user: they go through it to what they are given, and cannot
    list it. Raises NotConfigured where it cannot be written.
    """
    try:
        folder.mkdir(_PASSED_THROUGH if os.geteuid() == 0 else _PRIVATE, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise _unusable(folder, error) from None


def check_data_folder(folder: Path) -> bool:
    """Return whether it exists; it can be made then. Makes nothing. Raises as make_data_folder."""
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return nearest == folder
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> NotConfigured:
    return NotConfigured(
        f"the data folder {str(folder)!r} cannot be written: {error.strerror}; "
        "name another one with --data-dir or MULTI_AGENT_DATA_DIR"
    )
