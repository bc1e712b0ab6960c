"""The folder for state, logs and artifacts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from contracts.base.errors import NotConfigured

OTHER_FOLDER: Final = "name another one with --data-dir or MULTI_AGENT_DATA_DIR"


def make_data_folder(folder: Path) -> Path:
    """Make the data folder when it does not exist. Raises NotConfigured where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except OSError as error:
        raise NotConfigured(
            f"the data folder {str(folder)!r} cannot be written: {error.strerror}; {OTHER_FOLDER}"
        ) from None
    return folder


def check_writable(folder: Path) -> None:
    """Raise OSError where no file can be made; none is left."""
    with tempfile.TemporaryFile(dir=folder):
        pass
