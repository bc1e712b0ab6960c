"""The folder for state, logs and artifacts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from contracts.base.errors import NotConfigured


def make_data_folder(folder: Path) -> Path:
    """Make the data folder when it does not exist. Raises NotConfigured where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
