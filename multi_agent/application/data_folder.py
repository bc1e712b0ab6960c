"""The folder for state, logs and artifacts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from contracts.base.errors import NotConfigured


def make_data_folder(folder: Path) -> Path:
    """Make the data folder when it does not exist. Raises NotConfigured where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise NotConfigured(
            f"the data folder {str(folder)!r} cannot be written: {error.strerror}; "
            "name another with --data-dir or MULTI_AGENT_DATA_DIR"
        ) from None
    return folder
