"""Remembers what was learned about a model, for the processes of a data folder that come later."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from multi_agent.models.adapters.accepted import Accepted
from multi_agent.models.adapters.endpoint import Endpoint

_SECONDS: Final = 7 * 86_400
"""Servers change, and what they come to accept nobody says: it is tried again."""


class ModelMemory:
    """What one model at one address accepts, in a file of its own.

    A memory that cannot be read or written is none: the service is asked again.
    """

    def __init__(self, folder: Path | None, endpoint: Endpoint) -> None:
        """Nothing is remembered without a folder, which is made when there is something to remember."""
        parts = urlsplit(endpoint.base_url or "")
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        named = "\n".join((endpoint.service, address, endpoint.model))
        self._path = folder and folder / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.json"

    def recall(self) -> Accepted | None:
        """What was learned in the last days."""
        with suppress(OSError, ValidationError):
            if self._path and time.time() - self._path.stat().st_mtime < _SECONDS:
                return Accepted.model_validate_json(self._path.read_bytes())
        return None

    def keep(self, accepted: Accepted) -> None:
        """Remember it. Of processes that do so at once the last one counts."""
        if self._path is None:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_suffix(f".{time.monotonic_ns()}")
            unfinished.write_text(accepted.model_dump_json(indent=1) + "\n", encoding="utf-8")
            unfinished.replace(self._path)
